"""Utterances for an outbox, and the clocks of its host."""

from common.utterance import Utterance
from producer.shipping.outbox import Dropped, Outbox

AUDIO = b"\x00\x01\xff" * 40
DAY = 86_400.0


class Clocks:
    """A host's two clocks: the wall clock can be set, the monotonic one only goes on."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000.0
        self.monotonic = 50.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def restart(self, off_s: float) -> None:
        """The host was off for a while: its monotonic clock begins anew."""
        self.wall += off_s
        self.monotonic = 5.0


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
