"""`earshot bench recording`: how long live speech waits while a long recording is transcribed."""

import asyncio
import os
import random
import statistics
import subprocess
import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import soundfile

from common.audio import SAMPLE_RATE, encode
from common.events import Transcript
from common.redis.link import Link
from common.redis.opening import make_link, open_store, wait_for_redis
from common.redis.store import Store
from common.results.subscriber import Subscriber
from common.settings.loading import load_settings
from common.transitions.publishing import publish
from common.utterance import Utterance
from ops.bench.eager import clips
from ops.demo.recording_file import read_samples, read_sentences
from ops.local.embedded_redis import EmbeddedRedis
from ops.local.machine import wait_for_workers
from ops.local.supervisor import Supervisor, role_command, role_environment
from producer.shipping.identity import new_utterance_id

SEED: Final = 1
READY_S: Final = 600.0
"""How long the workers may take to start: they may have to download a model first."""

LOOK_S: Final = 0.25
HISS: Final = 10.0
"""Standard deviation of the room's noise, where full scale is 32,768."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured. `workers` counts those that are `kept_for_live`, too."""

    hours: float = 3.0
    sentence_every_s: float = 60.0
    live_every_s: float = 5.0
    workers: int = 2
    kept_for_live: int = 1
    model: str = "demo"


@dataclass(slots=True)
class Measured:
    """One run: waits and decodes of live utterances in ms, the rest of the recording's."""

    options: Options
    sentences: int = 0
    lines: int = 0
    took_s: float = 0.0
    rss_mb: float = 0.0
    backlog_max: int = 0
    status: int = 0
    waits_ms: list[float] = field(default_factory=list)
    decodes_ms: list[float] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether all came through, and live speech did not wait for the recording."""
        return (
            self.status == 0
            and self.lines == self.sentences
            and bool(self.waits_ms)
            and statistics.median(self.waits_ms) < statistics.median(self.decodes_ms)
        )

    def as_dict(self) -> dict[str, Any]:
        """The figures as the command prints them."""
        waits = sorted(self.waits_ms) or [0.0]
        return {
            "hours": self.options.hours,
            "sentences": self.sentences,
            "lines": self.lines,
            "took_s": round(self.took_s, 1),
            "rss_mb": round(self.rss_mb, 1),
            "backlog_max": self.backlog_max,
            "workers": self.options.workers,
            "kept_for_live": self.options.kept_for_live,
            "model": self.options.model,
            "live": len(self.waits_ms),
            "wait_ms": round(statistics.median(waits), 1),
            "wait_p95_ms": round(waits[int(0.95 * (len(waits) - 1))], 1),
            "wait_max_ms": round(waits[-1], 1),
            "decode_ms": round(statistics.median(self.decodes_ms or [0.0]), 1),
            "passed": self.passed,
        }


def make_recording(path: Path, hours: float, every_s: float) -> int:
    """Write sentences in a quiet room, one every `every_s` seconds; how many."""
    spoken = [read_samples(one, 0) for one in read_sentences()]
    size = round(every_s * SAMPLE_RATE)
    room = np.random.default_rng(SEED).normal(0, HISS, size).astype(np.int16)
    count = max(1, round(hours * 3600 / every_s))
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        for number in range(count):
            said = spoken[number % len(spoken)]
            block = room.copy()
            begin = (size - len(said)) // 2
            block[begin : begin + len(said)] += said
            file.write(block)
    return count


async def measure(options: Options) -> Measured:
    """One run on a Redis and with workers of its own."""
    measured = Measured(options)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="earshot-recording-")))
        redis = stack.enter_context(EmbeddedRedis(folder / "redis"))
        # a thread each: two workers that each use all cores slow each other down
        values = {
            "redis": redis.settings,
            "shards": 1,
            "stt": {"model": options.model, "cpu_threads": 1},
            "log": {"level": "error"},
        }
        settings = load_settings(values)
        store = await stack.enter_async_context(open_store(settings))
        link = make_link(store, settings)
        await wait_for_redis(link, store, settings)
        variables = role_environment(settings)
        supervisor = await stack.enter_async_context(Supervisor())
        for number in range(options.workers):
            takes = "false" if number < options.kept_for_live else "true"
            of_its_own = variables | {"EARSHOT_STT__RECORDINGS": takes}
            await supervisor.spawn(f"stt-{number}", role_command("stt"), of_its_own)
        serving = wait_for_workers(link, store, options.workers)
        await supervisor.until(serving, stop=asyncio.Event(), timeout_s=READY_S)
        recording, target = folder / "recording.flac", folder / "recording.txt"
        measured.sentences = await asyncio.to_thread(
            make_recording, recording, options.hours, options.sentence_every_s
        )
        beside = [
            asyncio.create_task(_listen(store, link, measured)),
            asyncio.create_task(_speak(store, link, options.live_every_s)),
            asyncio.create_task(_look(store, measured)),
        ]
        argv = role_command("transcribe", str(recording), "--here", "-o", str(target))
        began = time.monotonic()
        await asyncio.to_thread(_run, argv, variables, measured)
        measured.took_s = time.monotonic() - began
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        if target.exists():
            measured.lines = len(target.read_text().splitlines())
    return measured


def _run(argv: list[str], variables: dict[str, str], measured: Measured) -> None:
    """Run the transcription to its end, and see how much memory it took at most."""
    process = subprocess.Popen(argv, env=variables, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = measured.status = os.waitstatus_to_exitcode(status)
    measured.rss_mb = usage.ru_maxrss / 1024


async def _speak(store: Store, link: Link, every_s: float) -> None:
    """Live utterances at random, as many speakers would bring them."""
    chance = random.Random(SEED)
    said = clips(pairs=False)
    number = 0
    while True:
        await asyncio.sleep(chance.expovariate(1 / every_s))
        samples = said[number % len(said)].samples
        number += 1
        utterance = Utterance(
            id=new_utterance_id(),
            session=f"live-{number}",
            samples=len(samples),
            audio=encode(samples),
            answer=False,
        )
        await link.retry_until_answered(publish, store, utterance)


async def _listen(store: Store, link: Link, measured: Measured) -> None:
    subscriber = Subscriber(store, link, deltas=False, since="0-0")
    async with aclosing(subscriber.events()) as events:
        async for received in events:
            event = received.event
            if not isinstance(event, Transcript) or not event.session.startswith("live-"):
                continue
            timings, decode_ms = event.data.timings, event.data.decode_ms
            if timings.stt_started is None or timings.published is None or decode_ms is None:
                continue
            measured.waits_ms.append(timings.stt_started - timings.published)
            measured.decodes_ms.append(decode_ms)


async def _look(store: Store, measured: Measured) -> None:
    redis: Any = store.redis
    while True:
        waiting = await redis.xlen(store.all_shards()[0].recordings)
        measured.backlog_max = max(measured.backlog_max, waiting)
        await asyncio.sleep(LOOK_S)
