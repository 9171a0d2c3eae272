"""`earshot bench failover`: how soon another worker has done the work of a dead one."""

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
from ops.bench.chaos.plan import Kind, PlannedUtterance
from ops.bench.chaos.run import READY_S, open_stage
from ops.bench.chaos.speech import InstantEngine, make_utterance
from ops.bench.chaos.stage import Stage, llm_settings, steer_llm_server
from ops.bench.progress import Show, show_on_stderr
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
    """The seconds from SIGKILL to the reply, for each kill, by the role of the worker."""

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


async def measure(kills: int, claim_idle_s: float, *, show: Show = show_on_stderr) -> Failover:
    """Kill the worker that has the work in hand, `kills` times, LLM and STT workers in turn.

    Raises NotReady if the workers do not start, or no reply comes.
    """
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
        stage = await stack.enter_async_context(open_stage(values, redis.url, folder, show))
        stage.start_llm_server(port, first_token_ms=20, tokens_per_s=FAST_TOKENS_PER_S)
        stage.start_workers(stt=WORKERS, llm=WORKERS, slow_s=TRANSCRIPTION_S)
        await stage.wait_for_workers(2 * WORKERS, READY_S)
        stage.follow_results()
        for number in range(kills):
            role = ("llm", "stt")[number % 2]
            time_s = await _kill_once(stage, role, number, port)
            result.times_s[role].append(time_s)
            show(f"  {role} worker killed: the reply came after {time_s:.2f} s")
    return result


async def _kill_once(stage: Stage, role: str, number: int, port: int) -> float:
    """Return the seconds from the kill to the reply. Raises NotReady if no reply comes."""
    loop = asyncio.get_running_loop()
    planned = PlannedUtterance(number, f"session-{number}", 0.0, Kind.SPEECH)
    patience_s = PATIENCE_CLAIMS * stage.settings.worker.claim_idle_s + READY_S
    slow = SLOW_TOKENS_PER_S if role == "llm" else FAST_TOKENS_PER_S
    await asyncio.to_thread(steer_llm_server, port, {"tokens_per_s": slow})
    try:
        async with asyncio.timeout(patience_s):
            await publish(stage.store, make_utterance(planned, InstantEngine.name))
            victim = await _find_process(stage, role, planned)
            os.kill(victim, signal.SIGKILL)
            killed_at = loop.time()
            await asyncio.to_thread(steer_llm_server, port, {"tokens_per_s": FAST_TOKENS_PER_S})
            await stage.wait_for_endings(planned.id)
            time_s = loop.time() - killed_at
    except TimeoutError:
        raise NotReady(
            f"{role} worker killed: no reply within {patience_s:g} s ({stage.last_log_lines()})"
        ) from None
    # the next kill begins with all workers, and none of them at work
    await stage.wait_for_workers(2 * WORKERS, READY_S)
    return time_s


async def _find_process(stage: Stage, role: str, planned: PlannedUtterance) -> int:
    """Wait until a worker streams the reply, or transcribes; return the id of its process."""
    redis: Any = stage.store.redis
    shard = stage.store.shard(planned.session)
    stream, group = (shard.turns, LLM_GROUP) if role == "llm" else (shard.utterances, STT_GROUP)
    while True:
        claims = await list_claims(redis, stream, group, 1)
        if claims and (role == "stt" or await is_being_answered(stage.store, planned.session)):
            _, name = claims[0]
            return int(name.split("-")[-2])  # ROLE-HOST-PID-RANDOM
        await asyncio.sleep(LOOK_S)
