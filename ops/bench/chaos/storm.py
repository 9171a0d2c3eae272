"""The storm of a run: the faults that happen, and when. The seed decides both.

Each fault draws its details (which process, how long) from numbers of its own. So two runs with the
same seed have the same faults, although the processes do not do the same at the same time.
"""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ops.bench.chaos.proxy import Proxy
from ops.bench.chaos.stage import LLM_SERVER, Stage, steer_llm_server
from ops.local.embedded_redis import EmbeddedRedis

PER_MINUTE: Final = {
    "kill_worker": 36.0,
    "freeze_worker": 6.0,
    "kill_producer": 3.0,
    "terminate_worker": 2.0,
    "cut_connections": 10.0,
    "kill_clients": 5.0,
    "swallow": 1.0,
    "kill_redis": 1.0,
    "restart_redis": 0.5,
    "kill_llm_server": 1.5,
    "refuse_llm": 1.5,
    "malformed": 4.0,
}
"""How often each fault happens in a minute."""

AT_LEAST_ONCE: Final = ("kill_redis", "restart_redis", "kill_llm_server", "swallow", "malformed")
CALM_EDGES: Final = (0.04, 0.94)
"""New faults begin between these shares of the run."""

CUT_SHARE: Final = 0.5
"""How many of the connections are cut at once."""

FROZEN_CLAIMS: Final = (1.2, 2.5)
"""How long a worker is frozen, in `claim_idle_s`: long enough that another takes its work over."""

SWALLOW_S: Final = (1.0, 7.0)
"""How long no byte passes: redis-py stops waiting for a silent server after 5 s."""

LLM_OUTAGE_S: Final = (1.0, 5.0)
REDIS_DOWN_S: Final = (0.1, 1.5)


@dataclass(slots=True)
class FaultCounts:
    """How often each fault happened."""

    kills: int = 0
    stops: int = 0
    producer_kills: int = 0
    terminations: int = 0
    redis_kills: int = 0
    redis_restarts: int = 0
    connection_cuts: int = 0
    swallowed: int = 0
    llm_outages: int = 0
    malformed: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def plan_faults(rng: random.Random, seconds: float, share: float = 1.0) -> list[tuple[float, str]]:
    """Return (seconds after the start, fault) in order; `share` scales how many there are."""
    begin, end = (edge * seconds for edge in CALM_EDGES)
    planned = []
    for fault, often in PER_MINUTE.items():
        count = round(often * share * seconds / 60)
        if fault in AT_LEAST_ONCE:
            count = max(count, 1)
        planned += [(rng.uniform(begin, end), fault) for _ in range(count)]
    return sorted(planned)


class Storm:
    """Makes the faults happen to a stage, to its Redis and to the connections between them."""

    def __init__(
        self, stage: Stage, redis: EmbeddedRedis, proxy: Proxy, llm_port: int, seed: int
    ) -> None:
        self._stage = stage
        self._redis = redis
        self._proxy = proxy
        self._llm_port = llm_port
        self._seed = seed
        self._redis_lock = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()
        self.faults = FaultCounts()
        self._actions: dict[str, Callable[[random.Random], Awaitable[None]]] = {
            "kill_worker": self._kill_worker,
            "freeze_worker": self._freeze_worker,
            "kill_producer": self._kill_producer,
            "terminate_worker": self._terminate_worker,
            "cut_connections": self._cut_connections,
            "kill_clients": self._kill_clients,
            "swallow": self._swallow,
            "kill_redis": self._kill_redis,
            "restart_redis": self._restart_redis,
            "kill_llm_server": self._kill_llm_server,
            "refuse_llm": self._refuse_llm,
            "malformed": self._malformed,
        }

    async def run(self, planned: list[tuple[float, str]]) -> None:
        """Make each fault happen at its time; return when the last is over and mended."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number, (at_s, fault) in enumerate(planned):
            await asyncio.sleep(max(0.0, started + at_s - loop.time()))
            # a fault that lasts overlaps with those that follow
            rng = random.Random(f"{self._seed} {number} {fault}")
            task = asyncio.ensure_future(self._actions[fault](rng))
            self._running.add(task)
        for outcome in await asyncio.gather(*self._running, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def _choose_worker(self, rng: random.Random) -> str:
        pool = self._stage.pool
        return rng.choice([*pool.names("stt-"), *pool.names("llm-")])

    async def _kill_worker(self, rng: random.Random) -> None:
        pool = self._stage.pool
        name = self._choose_worker(rng)
        while not pool.kill(name):  # it is dead at this moment
            await asyncio.sleep(0.02)
            name = self._choose_worker(rng)
        self.faults.kills += 1

    async def _freeze_worker(self, rng: random.Random) -> None:
        name = self._choose_worker(rng)
        if not self._stage.pool.freeze(name):
            return
        self.faults.stops += 1
        claims = rng.uniform(*FROZEN_CLAIMS)
        await asyncio.sleep(claims * self._stage.settings.worker.claim_idle_s)
        self._stage.pool.thaw(name)

    async def _kill_producer(self, rng: random.Random) -> None:
        name = rng.choice(self._stage.pool.names("producer-"))
        self.faults.producer_kills += self._stage.pool.kill(name)

    async def _terminate_worker(self, rng: random.Random) -> None:
        self.faults.terminations += self._stage.pool.terminate(self._choose_worker(rng))

    async def _cut_connections(self, rng: random.Random) -> None:
        self.faults.connection_cuts += self._proxy.cut(CUT_SHARE, rng) > 0

    async def _kill_clients(self, rng: random.Random) -> None:
        """Cut every connection at once, the driver's too, as CLIENT KILL of an operator does."""
        async with Redis.from_url(self._redis.url, protocol=2) as client:
            try:
                await client.client_kill_filter(_type="normal", skipme=True)
            except (RedisError, OSError):
                return  # it is away just now
        self.faults.connection_cuts += 1

    async def _swallow(self, rng: random.Random) -> None:
        self._proxy.freeze()
        self.faults.swallowed += 1
        await asyncio.sleep(rng.uniform(*SWALLOW_S))
        if rng.random() < 0.5:
            self._proxy.cut()
        self._proxy.thaw()

    async def _kill_redis(self, rng: random.Random) -> None:
        async with self._redis_lock:
            os.kill(self._redis.pid, signal.SIGKILL)
            while self._redis.running:  # noqa: ASYNC110  # only the kernel can tell
                await asyncio.sleep(0.01)
            self.faults.redis_kills += 1
            self.faults.redis_restarts += 1
            await asyncio.sleep(rng.uniform(*REDIS_DOWN_S))
            # the server dies with the thread that starts it: this thread lives as long as the loop
            await asyncio.to_thread(self._redis.start)

    async def _restart_redis(self, rng: random.Random) -> None:
        async with self._redis_lock:
            await asyncio.to_thread(self._redis.close)
            self.faults.redis_restarts += 1
            await asyncio.to_thread(self._redis.start)

    async def _kill_llm_server(self, rng: random.Random) -> None:
        down_s = rng.uniform(*LLM_OUTAGE_S)
        self.faults.llm_outages += self._stage.pool.kill(LLM_SERVER, down_s=down_s)

    async def _refuse_llm(self, rng: random.Random) -> None:
        """Let the server answer 503 for a while, to health checks too."""
        refusing = {"fail": {"status": 503, "everywhere": True}}
        if not await asyncio.to_thread(steer_llm_server, self._llm_port, refusing):
            return  # it is away, and comes back without faults
        self.faults.llm_outages += 1
        await asyncio.sleep(rng.uniform(*LLM_OUTAGE_S))
        await asyncio.to_thread(steer_llm_server, self._llm_port, {"fail": None})

    async def _malformed(self, rng: random.Random) -> None:
        """Add an entry that `publish` would refuse, as a foreign client might."""
        shard = rng.choice(self._stage.store.all_shards())
        entry = rng.choice(MALFORMED)
        await self._stage.link.retry_until_answered(
            self._stage.store.redis.xadd, shard.utterances, entry
        )
        self.faults.malformed += 1


MALFORMED: Final[list[dict[Any, Any]]] = [
    {"hello": "world"},
    {"v": "1", "session": "foreign", "id": "no-turn", "codec": "flac", "audio": b"fLaC"},
    {"v": "1", "session": "{0}\n", "id": "x", "turn": "1", "audio": b"\x00\xff"},
    {"v": "9", "session": "foreign", "id": "newer", "turn": "1"},
    {"v": "1", "session": "foreign", "id": "a", "turn": "-3", "samples": "1000000000"},
]
