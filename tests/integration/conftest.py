"""A secured Redis for whoever asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.secured_redis import SecuredRedis


@pytest.fixture(scope="session")
def _shared(secrets: Path) -> Iterator[SecuredRedis]:
    with SecuredRedis(secrets) as server:
        yield server


@pytest.fixture
def secured(_shared: SecuredRedis) -> SecuredRedis:
    """Empty, and with nothing refused so far; others use it before and after: do not kill it."""
    with _shared.sync_client() as client:
        client.flushall()
        client.acl_log_reset()
    return _shared
