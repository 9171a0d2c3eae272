"""A secured Redis for whoever asks for one; its secrets are made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.secured_redis import SecuredRedis, make_secrets


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `make-secrets.sh` leaves it, with a certificate for a client `kitchen`."""
    return make_secrets(tmp_path_factory.mktemp("secrets"), "--client", "kitchen")


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
