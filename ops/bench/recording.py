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
from ops.bench.eager import make_clips
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
    """What is measured. `workers` includes those that are `kept_for_live` speech."""

    hours: float = 3.0
    sentence_every_s: float = 60.0
    live_every_s: float = 5.0
    workers: int = 2
    kept_for_live: int = 1
    model: str = "demo"
    live_alone: bool = False
    """Whether each live utterance comes after the transcript of the one before. Then none waits for
    another, however slow the machine is: what is left of the wait is due to the recording."""


@dataclass(slots=True)
class RecordingReport:
    """One run. `waits_ms` and `decodes_ms` belong to live utterances, all else to the recording."""

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
        """Whether all sentences arrived, and live speech did not wait for the recording."""
        return (
            self.status == 0
            and self.lines == self.sentences
            and bool(self.waits_ms)
            and statistics.median(self.waits_ms) < statistics.median(self.decodes_ms)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as the command prints them."""
        waits = self.waits_ms or [0.0]
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
            "wait_p95_ms": round(float(np.percentile(waits, 95)), 1),
            "wait_max_ms": round(max(waits), 1),
            "decode_ms": round(statistics.median(self.decodes_ms or [0.0]), 1),
            "passed": self.passed,
        }


def make_recording(path: Path, hours: float, every_s: float) -> int:
    """Write a recording of a quiet room with a sentence every `every_s` seconds; return how many.

    It is 16 kHz mono, `hours` long.
    """
    spoken = [read_samples(sentence, 0) for sentence in read_sentences()]
    size = round(every_s * SAMPLE_RATE)
    room = np.random.default_rng(SEED).normal(0, HISS, size).astype(np.int16)
    count = max(1, round(hours * 3600 / every_s))
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        for number in range(count):
            sentence = spoken[number % len(spoken)]
            block = room.copy()
            begin = (size - len(sentence)) // 2
            block[begin : begin + len(sentence)] += sentence
            file.write(block)
    return count


async def measure(options: Options) -> RecordingReport:
    """Start a Redis and workers, transcribe a recording, and publish live utterances meanwhile.

    Raises NotReady if the workers do not start.
    """
    report = RecordingReport(options)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="earshot-recording-")))
        redis = stack.enter_context(EmbeddedRedis(folder / "redis"))
        # one thread for each worker: two that use all cores would slow each other down
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
            recordings = "false" if number < options.kept_for_live else "true"
            environment = variables | {"EARSHOT_STT__RECORDINGS": recordings}
            await supervisor.spawn(f"stt-{number}", role_command("stt"), environment)
        serving = wait_for_workers(link, store, options.workers)
        await supervisor.wait_for(serving, stop=asyncio.Event(), timeout_s=READY_S)
        recording, target = folder / "recording.flac", folder / "recording.txt"
        report.sentences = await asyncio.to_thread(
            make_recording, recording, options.hours, options.sentence_every_s
        )
        transcribed = asyncio.Event()
        background = [
            asyncio.create_task(_read_transcripts(store, link, report, transcribed)),
            asyncio.create_task(_speak(store, link, options, transcribed)),
            asyncio.create_task(_measure_backlog(store, report)),
        ]
        argv = role_command("transcribe", str(recording), "--here", "-o", str(target))
        began = time.monotonic()
        await asyncio.to_thread(_run, argv, variables, report)
        report.took_s = time.monotonic() - began
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        if target.exists():
            report.lines = len(target.read_text().splitlines())
    return report


def _run(argv: list[str], variables: dict[str, str], report: RecordingReport) -> None:
    """Run the transcription to its end, and measure its memory."""
    process = subprocess.Popen(argv, env=variables, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = report.status = os.waitstatus_to_exitcode(status)
    report.rss_mb = usage.ru_maxrss / 1024


async def _speak(store: Store, link: Link, options: Options, transcribed: asyncio.Event) -> None:
    """Publish live utterances at random times, as many independent speakers would.

    Where they are to be alone, the next one waits until `transcribed` is set.
    """
    chance = random.Random(SEED)
    clips = make_clips(pairs=False)
    number = 0
    while True:
        await asyncio.sleep(chance.expovariate(1 / options.live_every_s))
        samples = clips[number % len(clips)].samples
        number += 1
        utterance = Utterance(
            id=new_utterance_id(),
            session=f"live-{number}",
            samples=len(samples),
            audio=encode(samples),
            answer=False,
        )
        transcribed.clear()
        await link.retry_until_answered(publish, store, utterance)
        if options.live_alone:
            await transcribed.wait()


async def _read_transcripts(
    store: Store, link: Link, report: RecordingReport, transcribed: asyncio.Event
) -> None:
    """Note the times of live utterances, and set `transcribed` at each of their transcripts."""
    subscriber = Subscriber(store, link, deltas=False, since="0-0")
    async with aclosing(subscriber.events()) as events:
        async for received in events:
            event = received.event
            if not isinstance(event, Transcript) or not event.session.startswith("live-"):
                continue
            transcribed.set()
            timings, decode_ms = event.data.timings, event.data.decode_ms
            if timings.stt_started is None or timings.published is None or decode_ms is None:
                continue
            report.waits_ms.append(timings.stt_started - timings.published)
            report.decodes_ms.append(decode_ms)


async def _measure_backlog(store: Store, report: RecordingReport) -> None:
    redis: Any = store.redis
    while True:
        waiting = await redis.xlen(store.all_shards()[0].recordings)
        report.backlog_max = max(report.backlog_max, waiting)
        await asyncio.sleep(LOOK_S)
