"""Every service of docker-compose.yml, but for Grafana, with secure.yml, started by its
own command and environment against a Redis that is secured as the files say, passes demo traffic
through it with STT_REPLICAS=3; a replica that is added and one that is taken away under load lose
nothing, nor does a restart of Redis, and a recording comes out of `jobs`. Prometheus sees every
replica, and has an answer to every panel.
"""

import asyncio
import json
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import numpy as np
import pytest

from common.events import Ending, Heard, Transcript, TurnKey
from common.redis.client import connect
from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import Subscriber
from common.settings import LimitSettings
from common.status.snapshot import take_snapshot
from common.status.worker_record import WorkerRecord
from common.transitions.publishing import Verdict, publish
from ops.bench.chaos.plan import Kind, PlannedUtterance
from ops.bench.chaos.speech import make_utterance
from ops.demo.recording_file import AUDIO, read_sentences
from tests.integration.deploy.compose_processes import ComposeProcesses
from tests.support.monitoring_files import panels
from tests.support.spoken_sentences import LEAD_S, RATE, spoken
from tests.support.virtual_microphone import VirtualMicrophone

PATIENCE_S: Final = 150.0
ENV: Final = {
    "STT_REPLICAS": "3",
    "STT_LIVE_REPLICAS": "1",
    "EARSHOT_STT__MODEL": "demo",
    "EARSHOT_LISTEN__SESSION": "kitchen",
}
# Grafana comes as an image alone: what its panels ask is asked of Prometheus here, and that they
# are well formed is checked in test_monitoring_files.py.
NOT_TO_BE_HAD: Final = "grafana"
FOR_ONE_COMMAND: Final = "tools"  # the profile of such services
NOT_EARSHOT: Final = {"vllm", "prometheus"}
SPOKEN: Final = 2
LOAD: Final = 16  # utterances under way: each STT worker has one, and the others wait
SESSIONS: Final = 6


class Tally:
    """What the results stream tells, read with a viewer's credentials."""

    def __init__(self) -> None:
        self.heard: Counter[TurnKey] = Counter()
        self.ended: Counter[TurnKey] = Counter()
        self.kinds: Counter[str] = Counter()
        self.workers: set[str] = set()

    async def follow(self, store: Store, link: Link) -> None:
        async for received in Subscriber(store, link, since="0-0", deltas=False).events():
            event = received.event
            turn = event.key
            if isinstance(event, Heard):
                self.heard[turn] += 1
            elif isinstance(event, Transcript):
                self.workers.add(event.data.worker)
            elif isinstance(event, Ending):
                self.ended[turn] += 1
                self.kinds[event.type] += 1

    def has_heard(self, session: str) -> int:
        return sum(1 for name, _, _ in self.heard if name == session)

    @property
    def of_load(self) -> int:
        return sum(1 for name, _, _ in self.heard if name.startswith("load-"))

    @property
    def under_way(self) -> int:
        return len(self.heard) - len(self.ended)

    def has_worked(self, process: subprocess.Popen[bytes]) -> bool:
        return any(f"-{process.pid}-" in worker for worker in self.workers)


@pytest.mark.timeout(400)
async def test_replicas_come_and_go_and_nothing_is_lost(secrets: Path, tmp_path: Path) -> None:
    with VirtualMicrophone() as microphone, ComposeProcesses(tmp_path, secrets, ENV) as compose:
        redis = compose.start("redis")
        await until(lambda: compose.is_ready("redis"), compose)
        assert compose.replicas("stt") == 3
        roles = {
            name: [
                compose.start(name, env=microphone.env if name == "listen" else None)
                for _ in range(compose.replicas(name))
            ]
            for name, service in compose.services.items()
            if name not in {"redis", NOT_TO_BE_HAD}
            and FOR_ONE_COMMAND not in service.get("profiles", [])
        }
        workers = sum(len(roles[name]) for name in ("stt", "stt-gpu", "stt-live", "llm"))
        async with _store(compose, "viewer") as store, _store(compose, "producer") as own:
            await until(lambda: all(map(compose.is_ready, NOT_EARSHOT)), compose)
            while len(await _ready(store)) < workers:  # noqa: ASYNC110  # Redis tells nobody
                await asyncio.sleep(0.2)
            for name, port in compose.monitored:
                await until(partial(compose.is_ready, name, port), compose)
            assert len(json.loads(compose.run("viewer", "status", "--json"))["workers"]) == workers

            tally = Tally()
            following = asyncio.create_task(tally.follow(store, _link(compose, store)))
            load = Load(own, _link(compose, own), tally)
            loading = asyncio.create_task(load.run())
            elsewhere = {
                "EARSHOT_LISTEN__SESSION": "hall",
                "EARSHOT_LISTEN__OUTBOX": str(tmp_path / "hall"),
            }
            roles["listen"].append(compose.start("listen", "--input", str(AUDIO), env=elsewhere))
            speaking = asyncio.create_task(asyncio.to_thread(_speak, microphone))

            newcomer = compose.start("stt")
            leaver = roles["stt"].pop()
            await until(lambda: tally.has_worked(leaver), compose)
            leaver.send_signal(signal.SIGTERM)
            await until(partial(_has_ended, leaver), compose)
            assert leaver.returncode == 0
            await until(lambda: tally.has_worked(newcomer), compose)
            roles["stt"].append(newcomer)

            await speaking
            await until(lambda: tally.has_heard("kitchen") == SPOKEN, compose)
            await until(lambda: tally.has_heard("hall") == len(read_sentences()), compose)
            load.enough.set()
            await loading
            await until(lambda: tally.under_way == 0, compose)
            assert compose.refusals() == []

            await until(lambda: _scraped(compose) == _running(compose, roles), compose)
            await until(lambda: _rules(compose) == {"ok"}, compose)
            await until(lambda: not _empty_panels(compose), compose)

            redis.send_signal(signal.SIGTERM)
            await until(partial(_has_ended, redis), compose)
            compose.start("redis")
            await until(lambda: compose.is_ready("redis"), compose)
            await load.one()
            await until(lambda: tally.under_way == 0, compose)
            following.cancel()

        assert tally.ended == tally.heard, "each turn that was heard ends, exactly once"
        assert set(tally.heard.values()) == {1}
        assert len(tally.heard) == load.sent + SPOKEN + len(read_sentences())
        assert tally.kinds["error"] == 0
        told = [json.loads(line) for line in compose.run("viewer", "export").splitlines()]
        endings = [one for one in told if one["type"] in {"reply", "skipped", "error"}]
        assert len(endings) == len(tally.ended), "what was there before the restart is there"
        assert len(_transcribed(compose)) == len(read_sentences())
        assert compose.run("admin", "dead", "replay", "--all", "--job") == "0 replayed\n"
        assert compose.refusals() == []
        for name in roles.keys() - {"vllm"}:
            for process in roles[name]:
                process.send_signal(signal.SIGTERM)
                await until(partial(_has_ended, process), compose)
                assert process.returncode == 0, name


class Load:
    """Utterances of the recording, published as a producer, as many as are under way at once."""

    def __init__(self, store: Store, link: Link, tally: Tally) -> None:
        self._store = store
        self._link = link
        self._tally = tally
        self.sent = 0
        self.enough = asyncio.Event()

    async def run(self) -> None:
        while not self.enough.is_set():
            if self._tally.under_way >= LOAD:
                await asyncio.sleep(0.02)
                continue
            await self.one()

    async def one(self) -> None:
        planned = PlannedUtterance(self.sent, f"load-{self.sent % SESSIONS}", 0, Kind.SPEECH)
        answer = await self._link.retry_until_answered(
            publish, self._store, make_utterance(planned, "demo")
        )
        assert answer.verdict in {Verdict.ACCEPTED, Verdict.DUPLICATE}
        self.sent += 1
        # seen, before it is asked how many are under way
        while self._tally.of_load < self.sent:  # noqa: ASYNC110  # nor does it here
            await asyncio.sleep(0.005)


@asynccontextmanager
async def _store(compose: ComposeProcesses, user: str) -> AsyncIterator[Store]:
    redis = connect(compose.redis(user))
    try:
        yield Store(redis, 1, LimitSettings())
    finally:
        await redis.aclose()


def _transcribed(compose: ComposeProcesses) -> list[str]:
    """The lines of the recording, as the jobs' service makes them."""
    recording = compose.folder / "recordings" / AUDIO.name
    recording.parent.mkdir(exist_ok=True)
    recording.write_bytes(AUDIO.read_bytes())
    transcript = Path(compose.run("jobs", "transcribe", str(recording)).strip())
    return transcript.read_text().splitlines()


def _running(
    compose: ComposeProcesses, roles: Mapping[str, list[subprocess.Popen[bytes]]]
) -> Counter[str]:
    names = {name for name, _ in compose.monitored}
    return Counter(name for name in names for one in roles[name] if not _has_ended(one))


def _scraped(compose: ComposeProcesses) -> Counter[str]:
    """How many replicas of each service Prometheus reaches and knows by the service's name."""
    found = compose.asked("query?" + urlencode({"query": 'up{job="earshot"}'}))["result"]
    return Counter(one["metric"]["service"] for one in found if one["value"][1] == "1")


def _rules(compose: ComposeProcesses) -> set[str]:
    """How the evaluations of all rules fared; nothing while one has not been evaluated."""
    groups = compose.asked("rules")["groups"]
    return {rule["health"] for group in groups for rule in group["rules"]}


def _empty_panels(compose: ComposeProcesses) -> set[str]:
    """The panels that Grafana would show with nothing in them."""
    shown = {panel["title"]: False for panel in panels()}
    for panel in panels():
        for target in panel["targets"]:
            query = urlencode({"query": target["expr"].replace("$__rate_interval", "5m")})
            shown[panel["title"]] |= bool(compose.asked(f"query?{query}")["result"])
    return {title for title, is_shown in shown.items() if not is_shown}


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def _link(compose: ComposeProcesses, store: Store) -> Link:
    return Link(store.redis, compose.redis("viewer"), max_pause_s=1)


async def _ready(store: Store) -> list[WorkerRecord]:
    snapshot = await take_snapshot(store)
    return [worker for worker in snapshot.workers if worker.state == "ready"]


def _speak(microphone: VirtualMicrophone) -> None:
    # a sound server gives a new client its first samples late
    microphone.play_samples(np.zeros(LEAD_S * RATE, np.int16), RATE)
    for sentence in read_sentences()[:SPOKEN]:
        microphone.play_samples(spoken(sentence), RATE)


async def until(condition: Callable[[], bool], compose: ComposeProcesses) -> None:
    """Until it is true, by a thread that may block; what the services said if it does not."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(condition):  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(compose.logs())
