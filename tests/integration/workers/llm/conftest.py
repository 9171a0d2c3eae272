"""The stand-in that all tests of this folder share, reset after each test."""

from collections.abc import Iterator

import pytest

from tests.support.standin_server import StandIn


@pytest.fixture(scope="module")
def _shared_standin() -> Iterator[StandIn]:
    with StandIn("--first-token-ms", "1", "--tokens-per-s", "2000") as standin:
        yield standin


@pytest.fixture
def standin(_shared_standin: StandIn) -> Iterator[StandIn]:
    yield _shared_standin
    _shared_standin.reset()
