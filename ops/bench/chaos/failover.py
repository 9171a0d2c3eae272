"""`earshot bench failover`: how long it takes until another worker has done a dead one's work."""

import asyncio
import os
import signal
import statistics
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from common.keys import LLM_GROUP, STT_GROUP
from common.status.sessions import is_being_answered
from common.status.streams import list_claims
from common.transitions.publishing import publish
from ops.bench.chaos.plan import Kind, Planned
from ops.bench.chaos.run import READY_S, open_stage
from ops.bench.chaos.speech import InstantEngine, make_utterance
from ops.bench.chaos.stage import Say, Stage, llm_settings, print_to_stderr, steer_llm_server
from ops.local.embedded_redis import EmbeddedRedis
from ops.local.machine import find_free_port
from ops.local.supervisor import NotReady

WORKERS: Final = 2
"""How many workers each role has."""

ALLOWED_S: Final = 2.0
"""The work must be done this long after `claim_idle_s`."""

SLOW_TOKENS_PER_S: Final = 5.0
"""The LLM is slow until the kill, so that the kill hits a worker in the middle of a reply."""

FAST_TOKENS_PER_S: Final = 2_000.0
"""The LLM is fast after the kill: the promise is about finding the work, not about doing it."""

TRANSCRIPTION_S: Final = 0.5
"""A transcription takes this long, so that the kill hits it. The second try takes as long again."""

PATIENCE_CLAIMS: Final = 3.0
"""A reply that has not come after this many `claim_idle_s` will not come."""

LOOK_S: Final = 0.01


@dataclass(slots=True)
class Failover:
    """Seconds from SIGKILL to the reply, for kills of each role's worker."""

    claim_idle_s: float
    times_s: dict[str, list[float]] = field(default_factory=lambda: {"llm": [], "stt": []})

    @property
    def limit_s(self) -> float:
        return self.claim_idle_s + ALLOWED_S

    @property
    def passed(self) -> bool:
        return all(time_s <= self.limit_s for times in self.times_s.values() for time_s in times)

    def as_dict(self) -> dict[str, Any]:
        every = [time_s for times in self.times_s.values() for time_s in times]
        return {
            "kills": len(every),
            "claim_idle_s": self.claim_idle_s,
            "limit_s": self.limit_s,
            **_spread(every),
            **{role: _spread(times) for role, times in self.times_s.items() if times},
            "times_s": {
                role: [round(time_s, 2) for time_s in times] for role, times in self.times_s.items()
            },
            "passed": self.passed,
        }


def _spread(times: list[float]) -> dict[str, float]:
    return {
        "min_s": round(min(times), 2),
        "median_s": round(statistics.median(times), 2),
        "max_s": round(max(times), 2),
    }


async def measure(kills: int, claim_idle_s: float, *, say: Say = print_to_stderr) -> Failover:
    """Kill the worker that holds the work, `kills` times, LLM and STT workers in turn."""
    result = Failover(claim_idle_s)
    port = find_free_port()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="earshot-failover-")))
        redis = stack.enter_context(EmbeddedRedis(folder / "redis"))
        values = {
            "redis": redis.settings,
            "worker": {"claim_idle_s": claim_idle_s, "drain_timeout_s": 1},
            "stt": {"model": InstantEngine.name, "concurrency": 1},
            "llm": llm_settings(port) | {"token_timeout_s": 30},
            "log": {"format": "json"},
        }
        stage = await stack.enter_async_context(open_stage(values, redis.url, folder, say))
        stage.start_llm_server(port, first_token_ms=20, tokens_per_s=FAST_TOKENS_PER_S)
        stage.start_workers(stt=WORKERS, llm=WORKERS, slow_s=TRANSCRIPTION_S)
        await stage.workers_ready(2 * WORKERS, READY_S)
        stage.follow()
        for number in range(kills):
            role = ("llm", "stt")[number % 2]
            time_s = await _one(stage, role, number, port)
            result.times_s[role].append(time_s)
            say(f"  {role} worker killed: the reply came after {time_s:.2f} s")
    return result


async def _one(stage: Stage, role: str, number: int, port: int) -> float:
    """Seconds from the kill to the reply; raises NotReady when none comes."""
    loop = asyncio.get_running_loop()
    planned = Planned(number, f"session-{number}", 0.0, Kind.SPEECH)
    patience_s = PATIENCE_CLAIMS * stage.settings.worker.claim_idle_s + READY_S
    slow = SLOW_TOKENS_PER_S if role == "llm" else FAST_TOKENS_PER_S
    await asyncio.to_thread(steer_llm_server, port, {"tokens_per_s": slow})
    try:
        async with asyncio.timeout(patience_s):
            await publish(stage.store, make_utterance(planned, InstantEngine.name))
            victim = await _holder(stage, role, planned)
            os.kill(victim, signal.SIGKILL)
            killed_at = loop.time()
            await asyncio.to_thread(steer_llm_server, port, {"tokens_per_s": FAST_TOKENS_PER_S})
            await stage.ended(planned.id)
            time_s = loop.time() - killed_at
    except TimeoutError:
        raise NotReady(
            f"{role} worker killed: no reply within {patience_s:g} s ({stage.last_words()})"
        ) from None
    # the next kill finds the pool at strength, and nobody in the middle of anything
    await stage.workers_ready(2 * WORKERS, READY_S)
    return time_s


async def _holder(stage: Stage, role: str, planned: Planned) -> int:
    """The id of the process that works on it: one that streams a reply, or transcribes."""
    redis: Any = stage.store.redis
    shard = stage.store.shard(planned.session)
    stream, group = (shard.turns, LLM_GROUP) if role == "llm" else (shard.utterances, STT_GROUP)
    while True:
        claims = await list_claims(redis, stream, group, 1)
        if claims and (role == "stt" or await is_being_answered(stage.store, planned.session)):
            _, name = claims[0]
            return int(name.split("-")[-2])  # ROLE-HOST-PID-RANDOM
        await asyncio.sleep(LOOK_S)
