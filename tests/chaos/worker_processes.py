"""Workers and a stand-in LLM as processes, on the Redis of the test."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from common.transitions.publishing import Verdict, publish
from ops.bench.chaos.judge import Findings, judge
from ops.bench.chaos.plan import Kind, Plan, PlannedUtterance
from ops.bench.chaos.run import READY_S, open_stage
from ops.bench.chaos.speech import InstantEngine, make_utterance
from ops.bench.chaos.stage import Stage, llm_settings
from ops.local.machine import find_free_port

PATIENCE_S: Final = 90.0
FAILOVER_PATIENCE_S: Final = 40.0
CLAIM_S: Final = 2.0
"""A claim that passes soon, but not while a living worker waits for its processor: heartbeats come
every quarter of it. A claim that passed by mistake counts as a delivery, so that tests that count
deliveries, deaths or errors need it this long."""


class WorkerProcesses:
    """The running workers. The judge expects what is published through this object."""

    def __init__(self, stage: Stage, port: int, tokens_per_s: float) -> None:
        self.stage = stage
        self.port = port
        self._tokens_per_s = tokens_per_s
        self.published: list[PlannedUtterance] = []

    def start_llm_server(self) -> None:
        self.stage.start_llm_server(self.port, first_token_ms=5, tokens_per_s=self._tokens_per_s)

    async def publish(self, session: str, kind: Kind = Kind.SPEECH) -> PlannedUtterance:
        """Publish an utterance that carries the next number."""
        planned = PlannedUtterance(len(self.published), session, 0.0, kind)
        utterance = make_utterance(planned, InstantEngine.name)
        answer = await self.stage.link.retry_until_answered(publish, self.stage.store, utterance)
        assert answer.verdict in {Verdict.ACCEPTED, Verdict.DUPLICATE}, answer
        self.published.append(planned)
        return planned

    async def wait_until_at_rest(self, patience_s: float = PATIENCE_S) -> Findings:
        """Wait until nothing is left to do, and count; fail with the promises that were broken."""
        at_rest = await self.stage.wait_for_rest(len(self.published), patience_s)
        stage = self.stage
        findings = await judge(stage.store, self.published, stage.settings.llm, InstantEngine.name)
        assert not findings.broken, findings.broken
        assert at_rest, stage.progress
        assert not stage.pool.deaths.crashed
        return findings

    async def check_after_failover(self, plan: Plan) -> None:
        """Wait for rest after a plan that producers carried out while a master was killed.

        What was acknowledged in the very moment of the kill may not have reached a replica.
        Everything else must have ended, once and in order.
        """
        stage = self.stage
        await stage.wait_for_rest(plan.utterances, FAILOVER_PATIENCE_S)
        findings = await judge(
            stage.store, plan.draw_utterances(), stage.settings.llm, InstantEngine.name
        )
        print(findings, stage.pool.deaths)
        assert findings.unheard <= 3
        assert findings.lost == findings.unheard
        assert findings.duplicated == findings.out_of_order == 0
        assert findings.wrong_replies == findings.wrong_histories == 0
        assert findings.pending == findings.waiting == findings.open_sessions == 0


def settings_of(
    redis_url: str, port: int, sections: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return settings with short claims and pauses; `sections` override them."""
    values: dict[str, Any] = {
        "redis": {"url": redis_url},
        "worker": {"claim_idle_s": CLAIM_S, "drain_timeout_s": 2, "backoff_max_s": 0.5},
        "limits": {"tend_after_s": 2, "max_unanswered": 1_000},
        "stt": {"model": InstantEngine.name},
        "llm": llm_settings(port),
        "log": {"format": "json"},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | dict(section)
    return values


@asynccontextmanager
async def running_worker_processes(
    folder: Path,
    redis_url: str,
    *,
    own_url: str = "",
    stt: int = 1,
    llm: int = 1,
    slow_s: float = 0.0,
    tokens_per_s: float = 2_000.0,
    shards: int = 1,
    **sections: Mapping[str, Any],
) -> AsyncIterator[WorkerProcesses]:
    """Run workers and the stand-in LLM on the Redis at `redis_url`.

    The test itself reaches it at `own_url`; `sections` are settings on top. Logs of the processes
    go to `folder`.
    """
    port = find_free_port()
    values = settings_of(redis_url, port, sections) | {"shards": shards}
    async with open_stage(values, own_url or redis_url, folder, print) as stage:
        workers = WorkerProcesses(stage, port, tokens_per_s)
        workers.start_llm_server()
        stage.start_workers(stt=stt, llm=llm, slow_s=slow_s)
        await stage.wait_for_workers(stt + llm, READY_S)
        stage.follow_results()
        yield workers


def log_lines(folder: Path, name: str, event: str) -> list[str]:
    """Return the log lines of a process with this `event`."""
    text = (folder / f"{name}.log").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if f'"event": "{event}"' in line]
