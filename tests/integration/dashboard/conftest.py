"""A Redis with a conversation in it that a dashboard must not show to everybody."""

from collections.abc import Iterator

import pytest

from tests.integration.dashboard.guarded_dashboard import SECRET
from tests.support.fake_pipeline import FakePipeline
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as server, FakePipeline(server) as fake_pipeline:
        fake_pipeline.say("s", SECRET)
        yield server
