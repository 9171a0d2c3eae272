"""What one session does delays no other: whatever stands in the keys of some sessions, every turn
of the others is answered once and in order, no script fails half way or runs for long, and nothing
stays due, waiting or in hand for ever.

`--seed N` repeats one run, `--seeds N` sets how many there are.
"""

import asyncio
import random
import re
import time
from collections import defaultdict
from typing import Any, Final

import pytest

from common.errors import Refused
from common.events import Reply, parse_event
from common.keys import SESSION_ID
from common.redis.link import Link
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.transitions.answering import (
    Attempt,
    bury_turn,
    delta,
    drop_wake_up,
    newer_speech,
    settle_turn,
    take_turn,
)
from common.transitions.claims import Claim
from common.transitions.publishing import abandon, commit, keep_open, publish
from common.transitions.tending import forget
from common.transitions.transcribing import bury_utterance, settle_utterance
from common.utterance import Utterance
from tests.model.damage import Damage
from tests.model.direct_redis import DirectRedis
from tests.model.simulation import GROUPS, SHARD
from tests.model.workers import Fields, paired
from tests.support.redis_server import EXECUTABLES
from workers.loop.caretaker import Caretaker

GOOD: Final = ("anna", "ben", "cleo")
BAD: Final = ("mallory", "nick", "oscar", "peggy")
A_FEW: Final = 60
MANY: Final = 1_500
SLOWEST_S: Final = 1.0
MOST_ROUNDS: Final = 40
ON_BOTH_SERVERS = pytest.mark.parametrize("direct", EXECUTABLES, indirect=True)
TURN: Final = re.compile(rb"[1-9][0-9]{0,14}")


class DamagedRun:
    """One seed: talk, damage, more talk, and then rest."""

    def __init__(self, redis: DirectRedis, seed: int) -> None:
        redis.do("FLUSHALL")
        self.redis = redis
        self.rng = random.Random(seed)
        limits = LimitSettings(turn_timeout_s=0.001, tend_after_s=0.001)
        self.store = Store(redis, 1, limits)
        self.damage = Damage(redis, self.rng)
        link = Link(redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.01)
        self.caretaker = Caretaker(self.store, link, "me", claim_idle_s=1)
        self.spoken: dict[str, list[str]] = defaultdict(list)
        self.drafts: dict[str, str] = {}
        self.attempts: list[Attempt] = []
        self.journal: list[str] = []
        self.refusals: list[str] = []

    async def guarded(self, what: str, call: Any) -> Any:
        """Run a transition. Only a refusal, in a sentence, may come of bad sessions."""
        began = time.monotonic()
        try:
            return await call
        except Refused as refusal:
            self.journal.append(f"{what}: refused: {refusal}")
            self.refusals.append(str(refusal))
            return refusal
        finally:
            assert time.monotonic() - began < SLOWEST_S, f"{what} took too long"

    async def speak(self, session: str) -> None:
        number = len(self.spoken[session]) + 1
        name = f"{session}.{number}"
        if draft := self.drafts.pop(session, None):
            await self.guarded(f"commit {draft}", commit(self.store, session, draft, 1))
            return
        self.spoken[session].append(name)
        is_text, is_draft = self.rng.random() < 0.4, self.rng.random() < 0.3
        audio = b"" if is_text else name.encode().ljust(20)
        utterance = Utterance(
            id=name,
            session=session,
            codec="pcm_s16le",
            audio=audio,
            samples=len(audio) // 2,
            text=name if is_text else None,
            final=not is_draft,
        )
        await self.guarded(f"publish {name}", publish(self.store, utterance))
        if is_draft:
            self.drafts[session] = name
            await self.guarded(f"keep {name}", keep_open(self.store, session, name))

    async def take_entry(self, stream: str) -> tuple[Claim, Fields] | None:
        """A new entry, or one that somebody holds."""
        do, group = self.redis.do, GROUPS[stream]
        if do("EXISTS", stream) == 0:
            return None
        if not do("XINFO", "GROUPS", stream):
            do("XGROUP", "CREATE", stream, group, "0")
        answer = do("XREADGROUP", "GROUP", group, "w", "COUNT", 1, "STREAMS", stream, ">")
        if answer:
            entry, fields = answer[0][1][0]
        else:
            rows = do("XPENDING", stream, group, "-", "+", 10)
            if not rows:
                return None
            claimed = do("XCLAIM", stream, group, "w", 0, self.rng.choice(rows)[0])
            if not claimed or claimed[0] is None or claimed[0][1] is None:
                for row in rows:
                    if not do("XRANGE", stream, row[0], row[0]):
                        do("XACK", stream, group, row[0])
                return None
            entry, fields = claimed[0]
        return Claim(SHARD, stream, entry.decode(), "w"), paired(fields)

    async def transcribe(self) -> bool:
        for stream in (SHARD.utterances, SHARD.recordings):
            if (taken := await self.take_entry(stream)) is None:
                continue
            claim, fields = taken
            session = fields.get(b"session", b"").decode("utf-8", "replace")
            session = session if SESSION_ID.match(session) else ""
            named = TURN.fullmatch(fields.get(b"turn", b""))
            turn = int(named[0]) if named else None
            words = fields.get(b"audio", b"").decode("utf-8", "replace").strip()
            utterance = fields.get(b"id", b"").decode("utf-8", "replace")
            outcome: Any = Refused("malformed")
            if session and turn and words:
                settling = settle_utterance(
                    self.store,
                    claim,
                    session=session,
                    turn=turn,
                    utterance=utterance,
                    stt_ms=1,
                    detail={"model": "m"},
                    text=words,
                )
                outcome = await self.guarded(f"settle {utterance}", settling)
            if isinstance(outcome, Refused):
                burying = bury_utterance(
                    self.store,
                    claim,
                    session=session,
                    turn=turn,
                    utterance=utterance,
                    reason="refused",
                    error=str(outcome),
                    deliveries=1,
                    worker="w",
                )
                buried = await self.guarded(f"bury {utterance}", burying)
                assert not isinstance(buried, Refused), "the entry would come back for ever"
            return True
        return False

    async def answer(self, *, finish: bool) -> bool:
        if (taken := await self.take_entry(SHARD.turns)) is None:
            return False
        claim, fields = taken
        session = fields.get(b"session", b"").decode("utf-8", "replace")
        attempt: Any = None
        if SESSION_ID.match(session):
            taking = take_turn(
                self.store, claim, session, token=str(self.rng.random()), max_merge=2, history=20
            )
            attempt = await self.guarded(f"take {session}", taking)
        if attempt is None or isinstance(attempt, Refused):
            await drop_wake_up(self.store, claim)
        elif isinstance(attempt, Attempt):
            self.attempts.append(attempt)
            if finish or self.rng.random() < 0.6:
                await self.finish()
        return True

    async def finish(self) -> None:
        if not self.attempts:
            return
        attempt = self.attempts.pop(self.rng.randrange(len(self.attempts)))
        name = f"{attempt.session} {attempt.number}"
        await self.guarded(f"ask {name}", newer_speech(self.store, attempt))
        await self.guarded(f"delta {name}", delta(self.store, attempt, 0, "so"))
        if attempt.session in BAD and self.rng.random() < 0.2:
            burying = bury_turn(
                self.store, attempt, reason="poison", error="e", deliveries=1, worker="w"
            )
            await self.guarded(f"bury {name}", burying)
            return
        text = "+".join(turn.text for turn in attempt.turns)
        settling = settle_turn(
            self.store,
            attempt,
            text=text,
            detail={"model": "m"},
            first_token_ms=1,
            keep=20,
            messages=[{"role": "user", "content": text}, {"role": "assistant", "content": text}],
        )
        await self.guarded(f"reply {name}", settling)

    async def step(self) -> None:
        chance, session = self.rng.random(), self.rng.choice((*GOOD, *BAD))
        if chance < 0.35:
            await self.speak(session)
        elif chance < 0.55:
            await self.transcribe()
        elif chance < 0.75:
            await self.answer(finish=False)
        elif chance < 0.85:
            await self.finish()
        elif chance < 0.9 and self.drafts.get(session) and session in BAD:
            await self.guarded("abandon", abandon(self.store, session, self.drafts.pop(session)))
        elif chance < 0.92 and session in BAD:
            await self.guarded(f"forget {session}", forget(self.store, session))

    async def run(self) -> None:
        for _ in range(self.rng.randint(10, 60)):
            await self.step()
        for _ in range(self.rng.randint(1, 40)):
            if self.rng.random() < 0.3:
                self.journal.append(self.damage.inflict(self.rng.choice(BAD)))
            await self.step()
        await self.rest()
        self.check()

    async def rest(self) -> None:
        """Drafts are committed, and workers and caretaker do all that there is to do."""
        for session in GOOD:
            if session in self.drafts:
                await self.speak(session)
        for round_ in range(MOST_ROUNDS):
            if round_ > 3 and not self.redis.do("EXISTS", SHARD.open):
                break
            while self.attempts:
                await self.finish()
            while await self.transcribe():
                pass
            while await self.answer(finish=True):
                pass
            await asyncio.sleep(0.004)  # until all are due
            for _ in range(3):
                await self.caretaker.tend(SHARD)
            await self.caretaker.retry(SHARD)

    def check(self) -> None:
        results = [paired(flat) for _, flat in self.redis.do("XRANGE", SHARD.results, "-", "+")]
        mine = [fields for fields in results if fields[b"session"].decode() in GOOD]
        for session in GOOD:
            assert not any(f":{session}" in refusal for refusal in self.refusals)
            events = [parse_event(f) for f in mine if f[b"session"].decode() == session]
            replies = [event for event in events if isinstance(event, Reply)]
            said = [name for event in replies for name in event.data.text.split("+")]
            assert said == self.spoken[session], f"{session}: {said}, not {self.spoken[session]}"
            numbers = [event.turn for event in replies]
            assert numbers == sorted(set(numbers))
            ended = [event.turn for event in events if event.type in ("reply", "skipped", "error")]
            assert sorted(ended) == list(range(1, len(self.spoken[session]) + 1))
            assert self.redis.do("HGET", SHARD.quarantine, session) is None
        for fields in results:
            parse_event(fields)  # no reader stumbles over what the others left
        left = self.redis.do("ZRANGE", SHARD.open, 0, -1)
        assert not left, f"{left} are never set aside and never end"
        for stream in GROUPS:
            assert not self.redis.do("XLEN", stream), f"{stream} is not empty"


async def run_seeds(direct: DirectRedis, seeds: range) -> None:
    for seed in seeds:
        run = DamagedRun(direct, seed)
        try:
            await run.run()
        except Exception as error:
            journal = "\n".join(run.journal)
            raise AssertionError(f"seed {seed}: {error}\n{journal}") from error


@ON_BOTH_SERVERS
async def test_damage_to_some_sessions_stops_no_other(
    direct: DirectRedis, request: pytest.FixtureRequest
) -> None:
    only = request.config.getoption("--seed")
    count = request.config.getoption("--seeds") or A_FEW
    await run_seeds(direct, range(count) if only is None else range(only, only + 1))


@pytest.mark.full
@pytest.mark.timeout(1_800)
@ON_BOTH_SERVERS
async def test_much_damage_to_some_sessions_stops_no_other(
    direct: DirectRedis, request: pytest.FixtureRequest
) -> None:
    await run_seeds(direct, range(A_FEW, A_FEW + (request.config.getoption("--seeds") or MANY)))
