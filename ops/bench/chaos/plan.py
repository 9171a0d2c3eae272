"""What is said in a run: who says what when, and what is wrong with it. Same seed, same plan."""

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
    """What an utterance is. The names travel inside its audio, as `value`."""

    SPEECH = 1
    NOISE = 2
    STT_POISON = 3  # every process that transcribes it dies
    LLM_POISON = 4  # every process that answers it dies
    BROKEN = 5  # announces FLAC and is none


PLANTED: Final = frozenset({Kind.STT_POISON, Kind.LLM_POISON, Kind.BROKEN})


@dataclass(frozen=True, slots=True)
class Planned:
    """One utterance: number `number` of the run, said `at_s` seconds after its start."""

    number: int
    session: str
    at_s: float
    kind: Kind

    @property
    def id(self) -> str:
        return f"chaos-{self.number}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's utterances. `poison` and `broken` count what is planted of each kind.

    `cut_short` utterances have their producer killed between publish and forget.
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

    def said(self) -> list[Planned]:
        """Every utterance in the order of its number, which is the order of time."""
        rng = random.Random(self.seed)
        times = sorted(
            rng.uniform(0, SPEAKING_SHARE * self.seconds) for _ in range(self.utterances)
        )
        kinds = self._kinds(rng)
        return [
            Planned(number, self.session(rng.randrange(self.sessions)), at_s, kind)
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
        """Whose producer dies after the publish, before the outbox forgets it."""
        rng = random.Random(f"{self.seed} cut short")
        return frozenset(rng.sample(range(self.utterances), self.cut_short))

    @staticmethod
    def session(index: int) -> str:
        return f"session-{index}"

    @staticmethod
    def interrupts(session: str) -> bool:
        """Whether this session's newer speech stops a reply to its older speech."""
        return crc32(session.encode()) % INTERRUPTING_EVERY == 0


def planted_ids(said: Sequence[Planned]) -> set[str]:
    """The ids of what can only end in `error`."""
    return {one.id for one in said if one.kind in PLANTED}
