"""What the tests of shipping share: an outbox that can be reopened, and a shipper on a bench."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from producer.shipping import eager as eager_module
from producer.shipping import shipper as shipper_module
from producer.shipping.outbox import Outbox
from tests.support.damaged_outbox import BIG, NAMES
from tests.support.outboxes import DAY, Clocks, add
from tests.support.shipper_bench import Bench, Server


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def reopen(tmp_path: Path, clocks: Clocks) -> Iterator[Callable[..., Outbox]]:
    """Opens the outbox of one session, after closing the one that was open."""
    opened: list[Outbox] = []

    def make(*, max_bytes: int = 10_000, max_age_s: float = 7 * DAY) -> Outbox:
        for outbox in opened:
            outbox.close()
        opened[:] = [
            Outbox(
                tmp_path,
                "s1",
                max_bytes=max_bytes,
                max_age_s=max_age_s,
                wall=lambda: clocks.wall,
                clock=clocks.clock,
            )
        ]
        return opened[0]

    yield make
    for outbox in opened:
        outbox.close()


@pytest.fixture
def outbox(reopen: Callable[..., Outbox]) -> Outbox:
    return reopen()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s1.sqlite3"


@pytest.fixture
def opened(reopen: Callable[..., Outbox]) -> Callable[[], Outbox]:
    """Opens an outbox with room, after closing the one that was open."""
    return lambda: reopen(max_bytes=10**8)


@pytest.fixture
def filled(opened: Callable[[], Outbox], path: Path) -> Path:
    """The file of an outbox with 60 utterances, which nobody has open."""
    with opened() as outbox:
        add(outbox, *NAMES, audio=BIG)
    return path


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Bench]:
    server = Server()
    for module, name in (
        (eager_module, "publish"),
        (eager_module, "keep_open"),
        (shipper_module, "publish"),
        (shipper_module, "commit"),
        (shipper_module, "abandon"),
    ):
        monkeypatch.setattr(module, name, getattr(server, name))
    with Outbox(tmp_path, "s1", max_bytes=10_000, max_age_s=60) as outbox:
        bench = Bench(server, outbox)
        await bench.connect()
        yield bench
