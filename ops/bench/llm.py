"""`earshot bench llm`: how much time an LLM worker adds to the time of the LLM server.

A real worker process asks the stand-in LLM. The stand-in has a fixed speed, and notes when each
request came and when its first token left. Every session has a turn in work all the time: the next
turn is published when the reply to the one before has come. Runs with one session and with many
alternate, so that other work on the machine slows both.
"""

import asyncio
import json
import os
import re
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import numpy as np

from common.events import Event, Heard, Reply, ReplyDelta, parse_event
from common.redis.store import Store
from common.settings.loading import environment_without_settings
from common.transitions.publishing import Verdict, publish
from common.utterance import Utterance
from ops.bench.progress import Show, show_nothing
from ops.demo.standin import MODEL
from ops.local.machine import Machine, find_free_port, run_machine

ASK_S: Final = 30.0
READY_S: Final = 60.0
BLOCK_MS: Final = 500
WORKER: Final = "llm-1"


@dataclass(frozen=True, slots=True)
class Load:
    """What is measured. The stand-in's replies have `tokens` tokens."""

    sessions: int = 64
    repeats: int = 3
    seconds: float = 15.0
    first_token_ms: float = 200.0
    tokens_per_s: float = 15.0
    tokens: int = 20

    @property
    def reply_s(self) -> float:
        return self.first_token_ms / 1000 + self.tokens / self.tokens_per_s


@dataclass(slots=True)
class Run:
    """One run. `added_ms`: for each turn the time from `heard` to the first delta, minus the time
    of the server."""

    sessions: int
    added_ms: list[float]
    in_flight: int
    """The largest number of requests that the server had at once."""
    in_order: bool
    cpu_ms: float
    """The CPU time that the worker used. Other work on the machine hardly changes it."""


@dataclass(slots=True)
class LlmReport:
    """All runs, and their figures."""

    load: Load
    runs: list[Run] = field(default_factory=list)
    rss_mb: float = 0.0

    def added_ms(self, sessions: int) -> list[float]:
        return [ms for run in self.runs if run.sessions == sessions for ms in run.added_ms]

    def cpu_ms_per_turn(self, sessions: int) -> float:
        """Return the CPU time of the worker for one turn, in the runs with so many sessions."""
        runs = [run for run in self.runs if run.sessions == sessions]
        return sum(run.cpu_ms for run in runs) / sum(len(run.added_ms) for run in runs)

    @property
    def ratio(self) -> float:
        """The median added time with many sessions, divided by the one with a single session."""
        many, one = self.added_ms(self.load.sessions), self.added_ms(1)
        return statistics.median(many) / statistics.median(one)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as the command prints them."""
        pairs = zip(self.runs[::2], self.runs[1::2], strict=True)
        return {
            "sessions": self.load.sessions,
            "in_flight": max(run.in_flight for run in self.runs),
            "added_first_token_ms": {
                str(sessions): _spread(self.added_ms(sessions))
                for sessions in (1, self.load.sessions)
            },
            "ratio": round(self.ratio, 2),
            "ratio_per_repeat": [
                round(statistics.median(many.added_ms) / statistics.median(one.added_ms), 2)
                for one, many in pairs
            ],
            "worker_cpu_ms_per_turn": {
                str(sessions): round(self.cpu_ms_per_turn(sessions), 1)
                for sessions in (1, self.load.sessions)
            },
            "in_order": all(run.in_order for run in self.runs),
            "worker_rss_mb": round(self.rss_mb, 1),
        }


def _spread(times: list[float]) -> dict[str, float]:
    return {
        "turns": len(times),
        "median": round(statistics.median(times), 1),
        "p95": round(float(np.percentile(times, 95)), 1),
    }


async def measure(load: Load, *, show: Show = show_nothing) -> LlmReport:
    """Measure with one session and with many, alternately."""
    report = LlmReport(load)
    port = find_free_port()
    values = {"llm": {"base_url": f"http://127.0.0.1:{port}/v1", "model": MODEL}, "shards": 1}
    stop = asyncio.Event()
    async with run_machine(
        values, stop, lambda *_: None, redis_folder=None, own_redis=True, stand_in=False
    ) as parts:
        pace = ("--first-token-ms", load.first_token_ms, "--tokens-per-s", load.tokens_per_s)
        argv = [sys.executable, "-P", "-m", "ops.demo.standin", "--port", port, *pace]
        await parts.supervisor.spawn(
            "stand-in", list(map(str, argv)), environment_without_settings()
        )
        await parts.start_workers(stt=0, llm=1)
        await parts.wait_until_ready(READY_S)
        standin = StandInClient(port)
        await standin.control(reply="word " * load.tokens)
        await _Conversations(parts, standin, load, 1, "warm-up").run(2 * load.reply_s)
        for number in range(load.repeats):
            for sessions in (1, load.sessions):
                name = f"{number}-{sessions}"
                conversations = _Conversations(parts, standin, load, sessions, name)
                run = await conversations.run(load.seconds)
                report.runs.append(run)
                report.rss_mb = max(report.rss_mb, conversations.rss_mb)
                show(
                    f"  {sessions} sessions, {len(run.added_ms)} turns:"
                    f" {statistics.median(run.added_ms):.1f} ms added (median)"
                )
    return report


class StandInClient:
    """Changes what the stand-in does, and reads its notes on requests. It blocks in a thread."""

    def __init__(self, port: int) -> None:
        self._origin = f"http://127.0.0.1:{port}"

    async def control(self, **knobs: Any) -> None:
        await self._ask("POST", "/control", knobs)

    async def clear(self) -> None:
        await self._ask("DELETE", "/requests")

    async def times_ms(self) -> tuple[dict[str, float], int]:
        """Return the server's times to the first token, by question, and its peak of requests."""
        listing = await self._ask("GET", "/requests")
        times = {
            request["messages"][-1]["content"]: request["first_token_ms"] - request["started_ms"]
            for request in listing["requests"]
            if request["first_token_ms"] is not None
        }
        return times, int(listing["peak_active"])

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        def ask() -> Any:
            request = Request(
                self._origin + path,
                data=None if body is None else json.dumps(body).encode(),
                headers={"content-type": "application/json"},
                method=method,
            )
            with urlopen(request, timeout=ASK_S) as answer:
                return json.load(answer)

        return await asyncio.to_thread(ask)


class _Conversations:
    """Some sessions that all talk at the same time, for a while."""

    def __init__(
        self, parts: Machine, standin: StandInClient, load: Load, sessions: int, name: str
    ) -> None:
        self._parts = parts
        self._standin = standin
        self._load = load
        self._names = [f"bench-{name}-{number}" for number in range(sessions)]
        self._heard: dict[tuple[str, int], int] = {}
        self._first_delta: dict[tuple[str, int], int] = {}
        self._replied: dict[str, list[int]] = {name: [] for name in self._names}
        self._changed = asyncio.Condition()
        self._ended = False
        self._worker = parts.supervisor.pid(WORKER)
        self.rss_mb = 0.0

    async def run(self, seconds: float) -> Run:
        """Talk for this long, and measure."""
        await self._standin.clear()
        cpu_before_ms = cpu_ms(self._worker)
        reading = asyncio.create_task(self._read(await _last_entries(self._parts.store)))
        try:
            end = asyncio.get_running_loop().time() + seconds
            gap_s = self._load.reply_s / len(self._names)
            async with asyncio.TaskGroup() as tasks:
                for number, name in enumerate(self._names):
                    tasks.create_task(self._talk(name, number * gap_s, end))
        finally:
            self._ended = True  # the read that blocks ends by itself; a cancelled read may not
            await reading
        server_ms, in_flight = await self._standin.times_ms()
        added = [
            at - self._heard[turn] - server_ms[_question(*turn)]
            for turn, at in self._first_delta.items()
            if _question(*turn) in server_ms
        ]
        in_order = all(turns == sorted(turns) for turns in self._replied.values())
        used_ms = cpu_ms(self._worker) - cpu_before_ms
        return Run(len(self._names), added, in_flight, in_order, used_ms)

    async def _talk(self, session: str, delay_s: float, end: float) -> None:
        await asyncio.sleep(delay_s)
        turn = 0
        while asyncio.get_running_loop().time() < end:
            turn += 1
            text = _question(session, turn)
            utterance = Utterance(id=f"{session}-{turn}", session=session, text=text)
            answer = await publish(self._parts.store, utterance)
            assert answer.verdict is Verdict.ACCEPTED, answer
            async with asyncio.timeout(ASK_S), self._changed:
                while turn not in self._replied[session]:
                    await self._changed.wait()
        self.rss_mb = max(self.rss_mb, resident_mb(self._worker))

    async def _read(self, cursors: dict[str, str]) -> None:
        redis: Any = self._parts.store.redis
        while not self._ended:
            for stream, rows in await redis.xread(cursors, block=BLOCK_MS, count=1_000):
                cursors[stream.decode()] = rows[-1][0].decode()
                for _, fields in rows:
                    self._note(parse_event(fields))
                async with self._changed:
                    self._changed.notify_all()

    def _note(self, event: Event) -> None:
        turn = (event.session, event.turn)
        match event:
            case Heard():
                self._heard[turn] = event.at
            case ReplyDelta():
                self._first_delta.setdefault(turn, event.at)
            case Reply():
                self._replied[event.session].append(event.turn)


def _question(session: str, turn: int) -> str:
    return f"{session} {turn}"


async def _last_entries(store: Store) -> dict[str, str]:
    """Return the last entry of each stream of events, of the only shard."""
    redis: Any = store.redis
    (shard,) = store.all_shards()
    cursors = {}
    for stream in (shard.results, shard.deltas):
        rows = await redis.xrevrange(stream, count=1)
        cursors[stream] = rows[0][0].decode() if rows else "0-0"
    return cursors


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (10^6 bytes) from Linux; 0 elsewhere."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def cpu_ms(pid: int) -> float:
    """Return the CPU time of a process so far, in ms, from Linux (in steps of 10 ms); 0 elsewhere.

    The fields utime and stime of `/proc/PID/stat`: see proc_pid_stat(5).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()  # a command's name may contain spaces
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1000
