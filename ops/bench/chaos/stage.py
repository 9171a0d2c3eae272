"""The stage of a run: its processes, and what its results say so far."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

from common.events import Error, Heard, Reply, Skipped
from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import Subscriber
from common.settings import Settings
from common.status.streams import GROUPS, has_work
from ops.bench.chaos.plan import Plan, stand_in_knobs
from ops.bench.chaos.pool import Pool
from ops.bench.chaos.producer import run_producer
from ops.bench.chaos.worker import run_worker
from ops.bench.progress import Show
from ops.demo.standin import MODEL
from ops.demo.standin.faults import Control
from ops.demo.standin.server import open_listener, serve
from ops.local.machine import wait_for_workers
from ops.local.supervisor import NotReady

LOOK_EVERY_S: Final = 0.25
SHOW_EVERY_S: Final = 5.0
STEER_S: Final = 5.0
LLM_SERVER: Final = "stand-in"


def run_stand_in(port: int, first_token_ms: float, tokens_per_s: float) -> None:
    """Run the stand-in LLM as a process of the pool. It always fails at planted questions."""
    control = Control(
        first_token_ms=first_token_ms,
        tokens_per_s=tokens_per_s,
        max_model_len=100_000,
        only_for=stand_in_knobs(),
    )
    serve(open_listener("127.0.0.1", port), control)


def steer_llm_server(port: int, knobs: dict[str, Any]) -> bool:
    """Change what the stand-in does; return False if it is away. It blocks."""
    request = Request(
        f"http://127.0.0.1:{port}/control",
        data=json.dumps(knobs).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urlopen(request, timeout=STEER_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Stage:
    """The processes of one run, and what its results say so far.

    `settings` are those of the processes. The driver itself uses `store` and `link`.
    """

    def __init__(
        self, settings: Settings, store: Store, link: Link, pool: Pool, folder: Path, show: Show
    ) -> None:
        self.settings = settings
        self.store = store
        self.link = link
        self.pool = pool
        self._folder = folder
        self._show = show
        self._heard: set[str] = set()
        self._ended: set[str] = set()
        self._following: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()

    def start_llm_server(self, port: int, *, first_token_ms: float, tokens_per_s: float) -> None:
        self.pool.start(LLM_SERVER, run_stand_in, port, first_token_ms, tokens_per_s)

    def start_workers(self, *, stt: int, llm: int, slow_s: float = 0.0) -> None:
        for number in range(1, stt + 1):
            self.pool.start(f"stt-{number}", run_worker, "stt", self.settings, slow_s)
        for number in range(1, llm + 1):
            self.pool.start(f"llm-{number}", run_worker, "llm", self.settings)

    def start_producers(self, plan: Plan, count: int) -> None:
        """Start the producers, which carry out the plan from now on."""
        started = time.monotonic()
        (self._folder / "outbox").mkdir(parents=True, exist_ok=True)
        for share in range(count):
            self.pool.start(
                f"producer-{share + 1}",
                run_producer,
                self.settings,
                plan,
                share,
                count,
                self._folder,
                started,
            )

    async def wait_for_workers(self, count: int, timeout_s: float) -> None:
        """Wait until this many workers read. Raises NotReady after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await wait_for_workers(self.link, self.store, count)
        except TimeoutError:
            raise NotReady(f"not ready after {timeout_s:g} s: {self.last_log_lines()}") from None

    def last_log_lines(self) -> str:
        """Return the last line that each process has written."""
        found = []
        for name in self.pool.names():
            log = self._folder / f"{name}.log"
            lines = log.read_text(errors="replace").splitlines() if log.exists() else []
            found += [f"{name} said {line!r}" for line in lines[-1:]]
        return "; ".join(found) or "no process has said anything"

    def follow_results(self) -> None:
        """Begin to read the results."""
        self._following = asyncio.create_task(self._follow(), name="follow")

    async def _follow(self) -> None:
        subscriber = Subscriber(self.store, self.link, since="0-0", deltas=False)
        async for received in subscriber.events():
            event = received.event
            if isinstance(event, Heard):
                self._heard.add(event.id)
            elif isinstance(event, (Reply, Skipped, Error)):
                self._ended.add(event.id)
            async with self._changed:
                self._changed.notify_all()

    async def wait_for_endings(self, *utterances: str) -> None:
        """Wait until the turns of these utterances have ended."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended.issuperset(utterances))

    @property
    def progress(self) -> str:
        return f"{len(self._heard)} heard, {len(self._ended)} ended"

    async def wait_for_rest(self, expected: int, patience_s: float) -> bool:
        """Wait until `expected` utterances were heard, all have ended and no work is left.

        Returns False if nothing has happened for `patience_s` before that.
        """
        loop = asyncio.get_running_loop()
        next_show, last_change, before = loop.time(), loop.time(), ""
        while loop.time() < last_change + patience_s:
            if self._following is not None and self._following.done():
                self._following.result()
            if loop.time() >= next_show:
                self._show(f"  waiting for the rest: {self.progress} of {expected}")
                next_show = loop.time() + SHOW_EVERY_S
            if self.progress != before:
                last_change, before = loop.time(), self.progress
            all_ended = len(self._heard) >= expected and self._heard <= self._ended
            if all_ended and await self.link.retry_until_answered(self._has_no_work):
                return True
            await asyncio.sleep(LOOK_EVERY_S)
        return False

    async def _has_no_work(self) -> bool:
        for shard in self.store.all_shards():
            for name, group in GROUPS.items():
                if await has_work(self.store.redis, getattr(shard, name), group):
                    return False
        return True

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)


def llm_settings(port: int) -> dict[str, Any]:
    """Return the settings of a worker that uses the stand-in at `port`."""
    return {
        "base_url": f"http://127.0.0.1:{port}/v1",
        "model": MODEL,
        "api_key": "",
        # whole replies, so that they can be compared
        "min_tokens": 2_000,
        "max_tokens": 2_000,
        "first_token_timeout_s": 5,
        "token_timeout_s": 3,
        "connect_timeout_s": 2,
        "delta_interval_ms": 20,
    }
