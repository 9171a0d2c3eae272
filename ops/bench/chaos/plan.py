"""The plan of a run: which utterances are said when, what is wrong with them, and how they end.

The same seed gives the same plan.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final
from zlib import crc32

from common.events import ErrorData

SPEAKING_SHARE: Final = 0.97
"""The last utterance is said after this share of the time."""

PLANTED_SHARE: Final = 0.5
"""Planted utterances are among this share of all, the first ones: many deliveries go by until they
are buried, and the run should not have to wait for them at its end."""

NOISE_SHARE: Final = 0.02
INTERRUPTING_EVERY: Final = 4
"""About every fourth session interrupts replies."""

FAILING_PREFIX: Final = "failing-"
"""The names of sessions with failing requests begin with this. They never interrupt: a reply that
newer speech stops before it fails has ended well."""

FOLLOWING: Final = 2
"""Ordinary utterances after each failing one, in its session: they wait for its end."""

FOLLOWING_SHARE: Final = 0.05
"""They are said within this share of the time after it."""


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
    REFUSED_500 = 6
    """The LLM server always answers it with 500."""
    REFUSED_403 = 7
    """A filter in front of the LLM server always forbids it."""
    BROKEN_STREAM = 8
    """The LLM server always breaks off in the middle of its reply."""
    FAULTY_FINISH = 9
    """The LLM server always ends its reply with a reason that nobody knows."""
    STT_FAILURE = 10
    """The STT engine always lacks memory for it."""


FAILING: Final = (
    Kind.REFUSED_500,
    Kind.REFUSED_403,
    Kind.BROKEN_STREAM,
    Kind.FAULTY_FINISH,
    Kind.STT_FAILURE,
)
"""Requests that always fail, and kill nobody. They are in sessions of their own."""

PLANTED: Final = frozenset({Kind.STT_POISON, Kind.LLM_POISON, Kind.BROKEN, *FAILING})
"""Utterances that can only end in `error`."""


DEADLY_WORD: Final = "arsenic"
"""The LLM worker of a chaos run dies of a question with this word."""

MODEL_FAILS: Final = "The model fails at this question."
FILTER_FORBIDS: Final = "The filter forbids this question."
NO_MEMORY: Final = "CUDA failed with error out of memory"
"""What CTranslate2 says where a GPU has no memory left."""

WORDS: Final = {
    Kind.LLM_POISON: DEADLY_WORD,
    Kind.REFUSED_500: "hemlock",
    Kind.REFUSED_403: "oleander",
    Kind.BROKEN_STREAM: "foxglove",
    Kind.FAULTY_FINISH: "nightshade",
}
"""The worker, or the stand-in LLM, knows a question of this kind by this word."""

LLM_FAULTS: Final[dict[Kind, dict[str, Any]]] = {
    Kind.REFUSED_500: {"fail": {"status": 500, "message": MODEL_FAILS}},
    Kind.REFUSED_403: {"fail": {"status": 403, "message": FILTER_FORBIDS}},
    Kind.BROKEN_STREAM: {"drop_after_tokens": 2},
    Kind.FAULTY_FINISH: {"finish_reason": "engine_error"},
}
"""What the stand-in LLM does with a question of this kind, always."""


@dataclass(frozen=True, slots=True)
class PlantedError:
    """The error in which an utterance must end: `sentence` is a part of what people read."""

    stage: str
    reason: str
    sentence: str

    def matches(self, error: ErrorData) -> bool:
        """Return whether a turn ended in this error."""
        place = (error.stage, error.reason)
        return place == (self.stage, self.reason) and self.sentence in error.error


ERRORS: Final = {
    Kind.STT_POISON: PlantedError("stt", "max_deliveries", "never settled"),
    Kind.LLM_POISON: PlantedError("llm", "max_deliveries", "never settled"),
    Kind.BROKEN: PlantedError("stt", "bad_audio", "the audio is no readable FLAC"),
    Kind.REFUSED_500: PlantedError("llm", "failed", f"fails with 500 ({MODEL_FAILS})"),
    Kind.REFUSED_403: PlantedError("llm", "failed", f"forbids the request ({FILTER_FORBIDS})"),
    Kind.BROKEN_STREAM: PlantedError("llm", "failed", "closed the connection"),
    Kind.FAULTY_FINISH: PlantedError("llm", "failed", "ended the reply with 'engine_error'"),
    Kind.STT_FAILURE: PlantedError("stt", "failed", NO_MEMORY),
}
"""The error of each kind that can only end in one."""


def stand_in_knobs() -> dict[str, dict[str, Any]]:
    """Return the stand-in's knob `only_for`: its faults by the word in the question."""
    return {WORDS[kind]: fault for kind, fault in LLM_FAULTS.items()}


Said = tuple[float, str, Kind]
"""When (s after the start), in which session, and what."""


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
    """The utterances of a run: `utterances` in all, most of them in `sessions` ordinary sessions.

    `stt_poison`, `llm_poison` and `broken` count the ones planted there. Besides, there are
    `failing_sessions` for each kind in FAILING, with `failing_requests` in each. Where `fails` is
    off these are ordinary speech, and everything else is the same.
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
    failing_sessions: int = 0
    failing_requests: int = 1
    fails: bool = True

    def draw_utterances(self) -> list[PlannedUtterance]:
        """Return all utterances in the order in which they are said, which is that of `number`."""
        said = [*self._draw_ordinary(), *self._draw_failing()]
        said.sort(key=lambda one: one[0])
        return [
            PlannedUtterance(number, session, at_s, kind)
            for number, (at_s, session, kind) in enumerate(said)
        ]

    def _draw_ordinary(self) -> Iterator[Said]:
        rng = random.Random(self.seed)
        count = self.utterances - self._in_failing_sessions
        times = sorted(rng.uniform(0, SPEAKING_SHARE * self.seconds) for _ in range(count))
        for at_s, kind in zip(times, self._draw_kinds(rng, count), strict=True):
            yield at_s, self.session(rng.randrange(self.sessions)), kind

    def _draw_kinds(self, rng: random.Random, count: int) -> list[Kind]:
        kinds = [
            Kind.NOISE if rng.random() < self.noise_share else Kind.SPEECH for _ in range(count)
        ]
        planted = [
            *[Kind.STT_POISON] * self.stt_poison,
            *[Kind.LLM_POISON] * self.llm_poison,
            *[Kind.BROKEN] * self.broken,
        ]
        early = range(max(len(planted), round(count * PLANTED_SHARE)))
        for place, kind in zip(rng.sample(early, len(planted)), planted, strict=True):
            kinds[place] = kind
        return kinds

    def _draw_failing(self) -> Iterator[Said]:
        rng = random.Random(f"{self.seed} failing")
        latest_s = SPEAKING_SHARE * PLANTED_SHARE * self.seconds
        for kind, session in self._name_failing_sessions():
            for _ in range(self.failing_requests):
                at_s = rng.uniform(0, latest_s)
                yield at_s, session, kind if self.fails else Kind.SPEECH
                for _ in range(FOLLOWING):
                    after_s = rng.uniform(0, FOLLOWING_SHARE * self.seconds)
                    yield at_s + after_s, session, Kind.SPEECH

    def _name_failing_sessions(self) -> Iterator[tuple[Kind, str]]:
        for kind in FAILING:
            name = kind.name.lower().replace("_", "-")
            for index in range(self.failing_sessions):
                yield kind, f"{FAILING_PREFIX}{name}-{index}"

    @property
    def _in_failing_sessions(self) -> int:
        each = self.failing_requests * (1 + FOLLOWING)
        return len(FAILING) * self.failing_sessions * each

    @property
    def planted(self) -> int:
        """How many utterances can only end in `error`."""
        failing = len(FAILING) * self.failing_sessions * self.failing_requests
        return self.stt_poison + self.llm_poison + self.broken + self.fails * failing

    @property
    def all_sessions(self) -> list[str]:
        """The names of all sessions, the ordinary ones first."""
        ordinary = [self.session(index) for index in range(self.sessions)]
        return ordinary + [session for _, session in self._name_failing_sessions()]

    def spared_sessions(self) -> frozenset[str]:
        """Return the sessions that hold no planted utterance, whether failing ones fail or not."""
        planned = replace(self, fails=True).draw_utterances()
        hit = {utterance.session for utterance in planned if utterance.kind in PLANTED}
        return frozenset(self.all_sessions) - hit

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
        if session.startswith(FAILING_PREFIX):
            return False
        return crc32(session.encode()) % INTERRUPTING_EVERY == 0
