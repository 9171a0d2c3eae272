"""Utterances for an outbox, and the clocks of its host."""

from common.utterance import Utterance
from producer.shipping.outbox import Outbox
from producer.storage.boot_clock import BootClock
from producer.storage.outbox_report import Dropped

AUDIO = b"\x00\x01\xff" * 40
DAY = 86_400.0


class Clocks:
    """A host's clocks: the wall clock can be set, that of the boot counts what really passes."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000.0
        self.elapsed = 50.0
        self.boot = "a"
        self._ended: dict[str, float] = {}

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.elapsed += seconds

    def suspend(self, seconds: float) -> None:
        """The host sleeps: its monotonic clock stands still, that of the boot does not."""
        self.pass_(seconds)

    def restart(self, off_s: float = 0.0, *, wall: float | None = None) -> None:
        """The host was off for a while; it begins with the wall clock right, or as given."""
        self.wall = self.wall + off_s if wall is None else wall
        self._ended[self.boot] = self.elapsed
        self.boot += "a"
        self.elapsed = 5.0

    @property
    def clock(self) -> BootClock:
        """The clock of the present boot; in the next one it stands still."""
        boot = self.boot
        return BootClock(boot, lambda: self._ended.get(boot, self.elapsed))


FIXED_CLOCK = BootClock("fixed", lambda: 5.0)


def make_utterance(name: str, audio: bytes = AUDIO) -> Utterance:
    return Utterance(id=name, session="s1", audio=audio, samples=len(audio) // 2, speech_ms=900)


def add(outbox: Outbox, *names: str, audio: bytes = AUDIO) -> list[Dropped | None]:
    return [outbox.add(make_utterance(name, audio), age_s=0) for name in names]


def take_all(outbox: Outbox) -> list[str]:
    taken = []
    while (waiting := outbox.first()) is not None:
        taken.append(waiting.utterance.id)
        outbox.forget(waiting.place)
    return taken
