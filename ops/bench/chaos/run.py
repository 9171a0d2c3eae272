"""`earshot bench chaos`: one run, from the first process to the verdict."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from common.errors import BadInput
from common.redis.opening import make_link, open_store
from common.settings.loading import load_settings
from ops.bench.chaos.judge import Findings, judge
from ops.bench.chaos.plan import Plan
from ops.bench.chaos.pool import Deaths, Pool
from ops.bench.chaos.proxy import Proxy
from ops.bench.chaos.results import ReplyTimes, read_reply_times
from ops.bench.chaos.speech import InstantEngine
from ops.bench.chaos.stage import Stage, llm_settings
from ops.bench.chaos.storm import FaultCounts, Storm, plan_faults
from ops.bench.progress import Show, show_on_stderr
from ops.local.embedded_redis import EmbeddedRedis
from ops.local.machine import find_free_port

FIRST_TOKEN_MS: Final = 5.0
TOKENS_PER_S: Final = 2_000.0
READY_S: Final = 60.0

MAX_DELIVERIES: Final = 12
"""Workers are killed so often that the default of five would bury good utterances too: those whose
workers happened to be killed five times."""

CLAIM_IDLE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """What happens in a run: the plan, how many processes there are, and how many faults."""

    plan: Plan
    engine: str = InstantEngine.name
    stt_workers: int = 3
    llm_workers: int = 2
    producers: int = 2
    claim_idle_s: float = CLAIM_IDLE_S
    max_deliveries: int = MAX_DELIVERIES
    faults: float = 1.0
    """How many faults there are, as a multiple of PER_MINUTE."""
    patience_s: float = 90.0
    """The run ends without having come to rest if nothing happens for this long after the storm."""


@dataclass(frozen=True, slots=True)
class Report:
    """The faults of a run, and what became of its utterances."""

    options: Options
    findings: Findings
    faults: FaultCounts
    deaths: Deaths
    came_to_rest: bool
    took_s: float
    reply_times: ReplyTimes
    """Those of the sessions that hold no planted utterance."""
    load: float = 0.0
    """How many processes ran or wanted to, by the mean of the storm's last minute."""

    @property
    def kept(self) -> bool:
        """Whether all promises were kept."""
        return not self.broken

    @property
    def broken(self) -> list[str]:
        """A sentence for each broken promise, and for each reason why the run proves nothing."""
        sentences = self.findings.broken + self.deaths.crashed
        if not self.came_to_rest:
            sentences.append(
                f"the run did not come to rest: nothing happened for {self.options.patience_s:g} s,"
                " and work was left"
            )
        return sentences

    def as_dict(self) -> dict[str, Any]:
        found = asdict(self.findings)
        found.pop("broken")
        plan = self.options.plan
        return {
            "accepted": found.pop("accepted"),
            "answered": found.pop("answered"),
            "errors": found.pop("errors"),
            "planted": plan.planted,
            **found,
            **self.faults.as_dict(),
            "poisoned_workers": self.deaths.poisoned,
            "crashed_processes": len(self.deaths.crashed),
            "came_to_rest": self.came_to_rest,
            "reply_times": self.reply_times.as_dict(),
            "utterances": plan.utterances,
            "sessions": plan.sessions,
            "failing_sessions": len(plan.all_sessions) - plan.sessions,
            "seconds": plan.seconds,
            "seed": plan.seed,
            "engine": self.options.engine,
            "claim_idle_s": self.options.claim_idle_s,
            "max_deliveries": self.options.max_deliveries,
            "took_s": round(self.took_s, 1),
            "load": round(self.load, 1),
            "kept": self.kept,
            "broken": self.broken,
        }


def build_settings(options: Options, redis: dict[str, str], llm_port: int) -> dict[str, Any]:
    """Return the settings of a run's processes."""
    return {
        "redis": redis,
        "worker": {
            "claim_idle_s": options.claim_idle_s,
            "max_deliveries": options.max_deliveries,
            "drain_timeout_s": 3,
            "backoff_max_s": 2,
        },
        "limits": {"max_backlog": 300, "max_unanswered": 50, "tend_after_s": 5},
        "stt": {"model": options.engine, "concurrency": 1},
        "llm": llm_settings(llm_port),
        "log": {"format": "json"},
    }


@asynccontextmanager
async def open_stage(
    values: dict[str, Any], own_url: str, folder: Path, show: Show
) -> AsyncIterator[Stage]:
    """Open a stage without processes. `own_url` is where the driver itself reaches Redis."""
    settings = load_settings(values)
    own = settings.model_copy(update={"redis": settings.redis.model_copy(update={"url": own_url})})
    async with open_store(own) as store, Pool(folder) as pool:
        stage = Stage(settings, store, make_link(store, own), pool, folder, show)
        try:
            yield stage
        finally:
            await stage.close()


async def run(
    options: Options, *, folder: Path | None = None, show: Show = show_on_stderr
) -> Report:
    """Start everything, let the faults happen, wait until all is at rest, and count.

    The logs of the processes and Redis's data are kept in `folder`; without it they are deleted.
    Raises BadInput if the folder cannot be used, and NotReady if the workers do not start.
    """
    began = time.monotonic()
    plan = options.plan
    port = find_free_port()
    async with AsyncExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="earshot-chaos-")))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{folder} cannot be used: {error.strerror}") from None
        redis = stack.enter_context(EmbeddedRedis(folder / "redis", fsync="always"))
        proxy = await stack.enter_async_context(Proxy(redis.socket))
        values = build_settings(options, redis.settings | {"url": proxy.url}, port)
        stage = await stack.enter_async_context(open_stage(values, redis.url, folder, show))
        stage.start_llm_server(port, first_token_ms=FIRST_TOKEN_MS, tokens_per_s=TOKENS_PER_S)
        stage.start_workers(stt=options.stt_workers, llm=options.llm_workers)
        await stage.wait_for_workers(options.stt_workers + options.llm_workers, READY_S)
        stage.follow_results()
        show(f"{plan.utterances} utterances in {plan.seconds:g} s, seed {plan.seed}")
        storm = Storm(stage, redis, proxy, port, plan.seed)
        stage.start_producers(plan, options.producers)
        rng = random.Random(f"{plan.seed} storm")
        faults = plan_faults(rng, plan.seconds, options.faults)
        showing = asyncio.create_task(_show_progress(stage, show))
        try:
            await asyncio.gather(storm.run(faults), asyncio.sleep(plan.seconds))
        finally:
            showing.cancel()
        load, _, _ = os.getloadavg()
        came_to_rest = await stage.wait_for_rest(plan.utterances, options.patience_s)
        findings = await judge(
            stage.store,
            plan.draw_utterances(),
            stage.settings.llm,
            options.engine,
            malformed=storm.faults.malformed,
        )
        reply_times = await read_reply_times(stage.store, plan.spared_sessions())
        deaths = stage.pool.deaths
        storm.faults.producer_kills += _count_cut_short(folder)
    return Report(
        options,
        findings,
        storm.faults,
        deaths,
        came_to_rest,
        time.monotonic() - began,
        reply_times,
        load,
    )


async def _show_progress(stage: Stage, show: Show) -> None:
    while True:
        await asyncio.sleep(10)
        show(f"  {stage.progress}")


def _count_cut_short(folder: Path) -> int:
    """Return how many producers their outboxes have killed."""
    return len(list(folder.glob("chaos-*")))
