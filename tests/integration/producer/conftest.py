"""An outbox for tests of what leaves the mic host."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from producer.shipping.outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox", "s1", max_bytes=10**8, max_age_s=10**5) as outbox:
        yield outbox
