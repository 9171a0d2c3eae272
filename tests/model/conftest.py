"""A server for a whole module of the model test, which empties it before each run."""

from collections.abc import Iterator

import pytest

from tests.conftest import executable
from tests.model.direct_redis import DirectRedis
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def direct(request: pytest.FixtureRequest) -> Iterator[DirectRedis]:
    """By default on the server of PATH; `parametrize(..., indirect=True)` chooses."""
    chosen = executable(getattr(request, "param", None))
    with RedisServer(chosen) as server, DirectRedis(server) as redis:
        yield redis
