"""Whatever happens to the disk and in which order: nothing is lost, nothing comes twice, in order.

Only a process that ends while the disk fails loses what memory holds, and sends again what it could
not delete; then Redis knows it.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from producer.shipping.outbox import Outbox
from tests.support.failing_disk import FailingDisk, Kind
from tests.support.outboxes import Clocks, make_utterance


class Model:
    """What an outbox must hold, and what of it is on the disk."""

    def __init__(
        self, reopen: Callable[..., Outbox], disk: FailingDisk, clocks: Clocks, seed: int
    ) -> None:
        self._reopen = reopen
        self._disk = disk
        self._clocks = clocks
        self._random = random.Random(seed)
        self._waiting: list[str] = []
        self._on_disk: list[str] = []
        self._names = iter(range(10**6))
        self._outbox = reopen(max_bytes=10**6)
        self._outbox.add(make_utterance("first"), age_s=0)
        self._changed("first")

    def _changed(self, *names: str) -> None:
        self._waiting += names
        self._sync()

    def _sync(self) -> None:
        if not self._disk.fails:
            self._on_disk = list(self._waiting)

    def add(self) -> None:
        name = f"u{next(self._names)}"
        assert self._outbox.add(make_utterance(name), age_s=0) is None
        self._changed(name)

    def _first(self) -> int | None:
        first = self._outbox.first()
        assert (first and first.utterance.id) == (self._waiting[0] if self._waiting else None)
        return None if first is None else first.place

    def ship(self) -> None:
        """One utterance; the disk may change while it is on its way."""
        if (place := self._first()) is not None:
            if self._random.random() < 0.3:
                self.turn_disk()
            if self._random.random() < 0.3:
                self.add()
            self._outbox.forget(place)
            self._waiting.pop(0)
            self._sync()

    def park(self) -> None:
        if (place := self._first()) is not None:
            self._outbox.park(place, "never")
            self._waiting.pop(0)
            self._sync()

    def rename(self) -> None:
        if (place := self._first()) is not None:
            self._waiting[0] = f"u{next(self._names)}"
            self._outbox.rename(place, self._waiting[0])
            self._sync()

    def turn_disk(self) -> None:
        if self._disk.fails:
            self._disk.repair()
            self._clocks.pass_(100)
            self._outbox.recover()
            assert not self._outbox.disk_failure
            self._sync()
        else:
            self._disk.fail()

    def restart(self) -> None:
        self._outbox.close()
        if self._disk.fails:
            self._disk.repair()
            self._waiting = list(self._on_disk)
        self._outbox = self._reopen(max_bytes=10**6)

    def run(self, steps: int) -> None:
        """Take random steps, and send the rest."""
        for _ in range(steps):
            step = self._random.choices(
                [self.add, self.ship, self.park, self.rename, self.turn_disk, self.restart],
                [10, 8, 1, 1, 4, 1],
            )[0]
            step()
            assert len(self._outbox) == len(self._waiting)
        while self._waiting:
            self.ship()
        assert self._first() is None


@pytest.mark.parametrize("kind", ["read-only", "locked"])
@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_lost_or_doubled(
    kind: Kind,
    seed: int,
    reopen: Callable[..., Outbox],
    clocks: Clocks,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    disk = FailingDisk(monkeypatch, tmp_path / "s1.sqlite3", kind)
    try:
        Model(reopen, disk, clocks, seed).run(60)
    finally:
        disk.repair()
