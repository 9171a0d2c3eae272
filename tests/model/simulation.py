"""What all actors of one run share: Redis, chance, and the truth about what was said and done."""

import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from common.errors import Refused
from common.keys import LLM_GROUP, STT_GROUP, Shard
from common.redis.store import Store
from common.settings import LimitSettings
from tests.model.actors import PAUSE, ReplyLost, Violation
from tests.model.direct_redis import DirectRedis

Answer = TypeVar("Answer")

SHARD: Final = Shard(0)
SESSIONS: Final = ("ada", "bob")
DAMAGED: Final = "eve"  # the keys of this one get damaged, in some of the runs
GROUPS: Final = {
    SHARD.utterances: STT_GROUP,
    SHARD.recordings: STT_GROUP,
    SHARD.turns: LLM_GROUP,
}
DAMAGED_RUNS: Final = 0.4
OLD_MS: Final = 60_000  # `hold_ms` of an utterance that waited long in an outbox
MAX_ANSWER_AGE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely each mishap is, where it can happen."""

    reply_lost: float = 0.0
    skip: float = 0.0
    bury: float = 0.0
    hand_back: float = 0.0
    abandon: float = 0.0
    give_up: float = 0.0


CALM: Final = Chances()
STORM: Final = Chances(
    reply_lost=0.07, skip=0.12, bury=0.15, hand_back=0.06, abandon=0.06, give_up=0.12
)


@dataclass(slots=True)
class Spoken:
    """What producers said about one utterance id."""

    session: str
    root: str  # the id under which these words were spoken first
    answer: bool
    old: bool
    replayed: bool
    committed: set[str] = field(default_factory=set)  # the texts that may be shown


@dataclass(slots=True)
class Truth:
    """What may and what must be found in Redis, kept outside of it."""

    spoken: dict[str, Spoken] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)  # final, and Redis said so
    skipped: set[str] = field(default_factory=set)
    buried: set[str] = field(default_factory=set)
    vanished: set[str] = field(default_factory=set)
    went_on: set[str] = field(default_factory=set)  # spoken on after a commit without an answer
    forgotten: set[str] = field(default_factory=set)  # sessions
    went_back: bool = False


class Simulation:
    """One run's Redis and everything that is decided by chance in it."""

    def __init__(self, redis: DirectRedis, seed: int) -> None:
        self.redis = redis
        self.do = redis.do
        self.seed = seed
        self.rng = random.Random(seed)
        self.chances = STORM
        self.truth = Truth()
        self.full = False  # Redis refuses what needs memory
        self.journal: list[str] = []
        self.answers: Counter[tuple[str, str]] = Counter()
        self.late: list[Callable[[], Awaitable[Any]]] = []
        self.echoes: dict[str, Callable[[], Awaitable[Any]]] = {}
        small = self.rng.random() < 0.3
        limits = LimitSettings(
            session_ttl_s=60,
            seen_ttl_s=120,
            max_backlog=3 if small else 1_000,
            max_unanswered=4 if small else 1_000,
        )
        self.store = Store(redis, 1, limits)
        # for tending as if the timeouts had passed, a moment ago
        passed = {"turn_timeout_s": -1.0, "tend_after_s": -1.0}
        self.hasty = Store(redis, 1, limits.model_copy(update=passed))
        self.max_answer_age_s = MAX_ANSWER_AGE_S if self.rng.random() < 0.25 else 0.0
        # chance of its own, so that runs without it stay as they were
        self.abandoning = random.Random(f"abandon {seed}")
        self.abandons = self.abandoning.random() < 0.5
        self.failing = random.Random(f"fail {seed}")
        self.fails = self.failing.random() < 0.4
        self.upkeep = random.Random(f"upkeep {seed}")
        self.damaging = random.Random(f"damage {seed}")
        self.damages = self.damaging.random() < DAMAGED_RUNS
        self.sessions = (*SESSIONS, DAMAGED) if self.damages else SESSIONS
        self.damage: Callable[[], None] = lambda: None  # to the damaged session
        self._names = 0

    def fresh(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def likely(self, chance: float) -> bool:
        return self.rng.random() < chance

    def fails_now(self, chance: float = 0.25) -> bool:
        """Whether this try fails, in a run in which tries fail."""
        return self.fails and self.chances is not CALM and self.failing.random() < chance

    def note(self, line: str) -> None:
        self.journal.append(line)

    def answered(self, script: str, answer: str, about: str) -> None:
        """Note what a script answered."""
        self.answers[script, answer] += 1
        self.note(f"{script} {about} -> {answer}")

    def meddle(self, session: str) -> None:
        """Damage the session at this very step, perhaps."""
        if session == DAMAGED and self.chances is not CALM and self.damaging.random() < 0.2:
            self.damage()

    def refused(self, refusal: Refused) -> None:
        """Note a refusal: only the keys of the damaged session may be the reason for one."""
        self.note(f"  refused: {refusal}")
        sound = not any(f":{session}" in str(refusal) for session in SESSIONS)
        self.check(self.damages and sound, f"refused: {refusal}")

    def check(self, holds: bool, sentence: str) -> None:
        if not holds:
            raise Violation(sentence)

    async def call(self, what: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run one command or script after a pause.

        When the connection fails, it ran and the reply was lost, or it never ran, or it will run
        late: it sits in a socket.
        """
        await PAUSE
        if self.likely(self.chances.reply_lost):
            fate = self.rng.choice(("ran", "never", "late"))
            if fate == "ran":
                await what()
                self.note("  (the reply was lost)")
            elif fate == "late":
                self.late.append(what)
            raise ReplyLost
        return await what()

    async def insist(self, what: Callable[[], Awaitable[Answer]]) -> Answer:
        """The same, again and again until there is a reply."""
        while True:
            try:
                return await self.call(what)
            except ReplyLost:
                continue

    def record(self, session: str, turn: int) -> dict[str, Any]:
        """The record of a turn; empty if there is none."""
        record: dict[str, Any] = json.loads(self.do("HGET", SHARD.inbox(session), turn) or "{}")
        return record

    def field(self, session: str, name: str) -> bytes | None:
        """A field of a session's hash; None without one, or if the key holds something else."""
        if self.do("TYPE", SHARD.session(session)) != b"hash":
            return None
        value: bytes | None = self.do("HGET", SHARD.session(session), name)
        return value

    def head(self, session: str) -> dict[str, Any]:
        """The record of the next turn; empty if there is none."""
        return self.record(session, 1 + int(self.do("HGET", SHARD.session(session), "done") or 0))

    def head_is_ready(self, session: str) -> bool:
        """Whether the next turn is final and waits for an LLM worker."""
        head = self.head(session)
        return bool(head.get("final")) and not head.keys().isdisjoint(("text", "skip", "error"))

    def now_ms(self) -> int:
        seconds, micros = self.do("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def tick(self) -> None:
        """Wait for the next millisecond of Redis's clock: what happened is past, ids differ."""
        before = self.now_ms()
        while self.now_ms() == before:
            time.sleep(0.000_5)

    def pending(self, stream: str, entry: str = "", consumer: str = "") -> list[tuple[str, str]]:
        """(entry, consumer) of what is claimed; nothing if the group is lost."""
        window = [entry, entry] if entry else ["-", "+"]
        try:
            rows = self.do(
                "XPENDING", stream, GROUPS[stream], *window, 1_000, *filter(None, [consumer])
            )
        except Exception as error:
            if "NOGROUP" in str(error):
                return []
            raise
        return [(row[0].decode(), row[1].decode()) for row in rows]
