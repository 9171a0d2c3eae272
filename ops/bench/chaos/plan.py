"""The plan of a run: which utterance is said when and in which session, and what is wrong with it.

The same seed gives the same plan.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final
from zlib import crc32

SPEAKING_SHARE: Final = 0.97
"""The last utterance is said after this share of the time."""

PLANTED_SHARE: Final = 0.5
"""Planted utterances are among this share of all, the first ones: many deliveries go by until they
are buried, and the run should not have to wait for them at its end."""

NOISE_SHARE: Final = 0.02
INTERRUPTING_EVERY: Final = 4
"""About every fourth session interrupts replies."""


class Kind(Enum):
    """What an utterance is. Its audio holds the number."""

    SPEECH = 1
    NOISE = 2
    STT_POISON = 3
    """Every process that transcribes it dies."""
    LLM_POISON = 4
    """Every process that answers it dies."""
    BROKEN = 5
    """It announces FLAC, but its bytes are no FLAC."""


PLANTED: Final = frozenset({Kind.STT_POISON, Kind.LLM_POISON, Kind.BROKEN})
"""Utterances that can only end in `error`."""


@dataclass(frozen=True, slots=True)
class PlannedUtterance:
    """Utterance number `number` of the run, said `at_s` seconds after the start."""

    number: int
    session: str
    at_s: float
    kind: Kind

    @property
    def id(self) -> str:
        return f"chaos-{self.number}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The utterances of a run. `stt_poison`, `llm_poison` and `broken` count the planted ones.

    `cut_short` counts the utterances whose producer is killed when Redis has acknowledged them, and
    before the outbox has removed them.
    """

    utterances: int
    sessions: int
    seconds: float
    seed: int
    stt_poison: int = 0
    llm_poison: int = 0
    broken: int = 0
    cut_short: int = 0
    noise_share: float = NOISE_SHARE

    def draw_utterances(self) -> list[PlannedUtterance]:
        """Return all utterances in the order in which they are said, which is that of `number`."""
        rng = random.Random(self.seed)
        times = sorted(
            rng.uniform(0, SPEAKING_SHARE * self.seconds) for _ in range(self.utterances)
        )
        kinds = self._kinds(rng)
        return [
            PlannedUtterance(number, self.session(rng.randrange(self.sessions)), at_s, kind)
            for number, (at_s, kind) in enumerate(zip(times, kinds, strict=True))
        ]

    def _kinds(self, rng: random.Random) -> list[Kind]:
        kinds = [
            Kind.NOISE if rng.random() < self.noise_share else Kind.SPEECH
            for _ in range(self.utterances)
        ]
        planted = [
            *[Kind.STT_POISON] * self.stt_poison,
            *[Kind.LLM_POISON] * self.llm_poison,
            *[Kind.BROKEN] * self.broken,
        ]
        early = range(max(len(planted), round(self.utterances * PLANTED_SHARE)))
        for place, kind in zip(rng.sample(early, len(planted)), planted, strict=True):
            kinds[place] = kind
        return kinds

    def cut_short_numbers(self) -> frozenset[int]:
        """Return the numbers of the `cut_short` utterances."""
        rng = random.Random(f"{self.seed} cut short")
        return frozenset(rng.sample(range(self.utterances), self.cut_short))

    @staticmethod
    def session(index: int) -> str:
        return f"session-{index}"

    @staticmethod
    def interrupts(session: str) -> bool:
        """Return whether newer speech of this session stops the reply to its older speech."""
        return crc32(session.encode()) % INTERRUPTING_EVERY == 0


def planted_ids(planned: Sequence[PlannedUtterance]) -> set[str]:
    """Return the ids of the utterances that can only end in `error`."""
    return {utterance.id for utterance in planned if utterance.kind in PLANTED}
