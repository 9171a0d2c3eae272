"""`earshot bench eager`: how much sooner transcripts come with eager transcription, and its cost.

It plays sentences of the bundled recording at the speed of speech, each with eager transcription on
and off. Some clips are two sentences with a pause between them that does not end the utterance. The
draft at such a pause is made for nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.events import Transcript, parse_event
from common.keys import STT_GROUP
from common.redis.link import Link
from common.redis.opening import make_link, open_store, wait_for_redis
from common.redis.store import Store
from common.settings import Settings, SttSettings
from common.settings.loading import load_settings
from common.status.streams import has_work
from ops.bench.eager_report import MODES, EagerReport, Mode, Turn
from ops.bench.progress import Show, show_nothing
from ops.demo.recording_file import ROOM_S, read_samples, read_sentences
from ops.local.embedded_redis import EmbeddedRedis
from ops.local.machine import wait_for_workers
from ops.local.supervisor import NotReady
from producer.listen import listen
from producer.shipping.outbox_folder import open_outbox
from producer.sources.audio_file import AudioFileSource
from producer.speech.detector_choice import choose_detector
from producer.speech.endpointing import endpointing_rules
from workers.loop.consumer_loop import ConsumerLoop
from workers.loop.registration import consumer_name
from workers.stt.engine import Engine, Hints, Transcription
from workers.stt.handler import SttHandler
from workers.stt.whisper import load as load_engine

PAUSE_S: Final = 0.5
"""The pause inside a pair of sentences: long enough for a draft, too short to end the utterance.
It must be less than twice ROOM_S, the silence around each sentence."""

REST_S: Final = 0.5
"""Silence that is played after the silence that ends a turn."""

READY_S: Final = 600.0
"""How long the worker may take to start: it may have to download a model first."""

TRANSCRIPT_S: Final = 60.0
LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Clip:
    """The audio of one turn, in which the speaker makes a number of `pauses` and goes on."""

    samples: NDArray[np.int16]
    pauses: int


def make_clips(*, pairs: bool = True) -> list[Clip]:
    """Return the sentences of the recording, each alone, and with `pairs` also two by two."""
    alone = [read_samples(sentence) for sentence in read_sentences()]
    turns = [Clip(samples, 0) for samples in alone]
    if pairs:
        overlap = round((2 * ROOM_S - PAUSE_S) * SAMPLE_RATE)
        for first, second in zip(alone[::2], alone[1::2], strict=False):
            turns.append(Clip(np.concatenate([first[:-overlap], second]), 1))
    return turns


def _silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


class _CountingEngine:
    """An engine that counts its runs and their time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = engine.name
        self.device = engine.device
        self.runs = 0
        self.stt_s = 0.0

    def transcribe(self, samples: NDArray[np.int16], hints: Hints) -> Transcription:
        began = time.perf_counter()
        try:
            return self._engine.transcribe(samples, hints)
        finally:
            self.runs += 1
            self.stt_s += time.perf_counter() - began

    def warm_up(self) -> None:
        self._engine.warm_up()


@dataclass(slots=True)
class _Player:
    """Plays clips to a producer, and waits for what STT makes of them."""

    settings: Settings
    store: Store
    link: Link
    folder: Path
    engine: _CountingEngine
    last_seen: str = "-"

    async def play(self, clip: Clip, mode: Mode) -> Turn:
        """Play one clip at the speed of speech, and wait for its transcript."""
        engine = self.engine
        runs, stt_s = engine.runs, engine.stt_s
        path = self.folder / "clip.wav"
        silence_s = endpointing_rules(self.settings.listen).silence_s
        soundfile.write(path, np.concatenate([clip.samples, _silence(silence_s + REST_S)]), 16_000)
        options = self.settings.listen.model_copy(update={"eager": mode})
        source = AudioFileSource(path, options.frame_ms, realtime=True)
        session = f"eager-{mode}"
        with source, open_outbox(options, session, self.folder) as outbox:
            await listen(
                source,
                choose_detector(options),
                options,
                outbox,
                self.store,
                self.link,
                partial(wait_for_redis, self.link, self.store, self.settings),
                asyncio.Event(),
                session=session,
                realtime=True,
            )
        async with asyncio.timeout(TRANSCRIPT_S):
            transcript: Transcript = await _wait_for(self._read_transcript)
            await _wait_for(self._has_no_work)
        timings = transcript.data.timings
        assert timings.stt_started is not None
        assert timings.transcribed is not None
        return Turn(
            mode=mode,
            pauses=clip.pauses,
            text=transcript.data.text,
            started_ms=timings.stt_started,
            transcribed_ms=timings.transcribed,
            shown_ms=max(timings.transcribed, timings.committed or 0),
            runs=engine.runs - runs,
            stt_s=engine.stt_s - stt_s,
        )

    async def _read_transcript(self) -> Transcript | None:
        redis: Any = self.store.redis
        rows = await redis.xrange(self.store.all_shards()[0].results, min=self.last_seen)
        for entry, fields in rows:
            self.last_seen = f"({entry.decode()}"
            event = parse_event(fields)
            if isinstance(event, Transcript):
                return event
        return None

    async def _has_no_work(self) -> bool:
        """Return whether STT has finished, discarded drafts included."""
        stream = self.store.all_shards()[0].utterances
        return not await has_work(self.store.redis, stream, STT_GROUP)


async def _wait_for(look: Callable[[], Awaitable[Any]]) -> Any:
    while not (found := await look()):  # noqa: ASYNC110  # Redis has no event for it
        await asyncio.sleep(LOOK_S)
    return found


async def measure(clips: list[Clip], *, model: str, show: Show = show_nothing) -> EagerReport:
    """Play each clip to one STT worker, with eager transcription on and off.

    Raises NoModel if the model cannot be loaded, and NotReady if the worker does not start.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="earshot-eager-")))
        redis = stack.enter_context(EmbeddedRedis(folder / "redis"))
        settings = load_settings({"redis": redis.settings, "stt": {"model": model}, "shards": 1})
        store = await stack.enter_async_context(open_store(settings))
        link = make_link(store, settings)
        await wait_for_redis(link, store, settings)
        engine = await _start_worker(stack, settings, wait_for_workers(link, store, 1))
        player = _Player(settings, store, link, folder, engine)
        silence_s = endpointing_rules(settings.listen).silence_s
        report = EagerReport(model, 1000 * silence_s, settings.listen.eager_pause_s)
        for number, clip in enumerate(clips):
            for mode in MODES[:: 1 if number % 2 else -1]:
                turn = await player.play(clip, mode)
                report.turns.append(turn)
                wait_ms = turn.shown_ms - report.silence_ms
                show(
                    f"  eager {mode}: transcript {wait_ms:.0f} ms after the silence,"
                    f" {turn.runs} runs of STT"
                )
        return report


async def _start_worker(
    stack: AsyncExitStack, settings: Settings, ready: Coroutine[Any, Any, None]
) -> _CountingEngine:
    """Run an STT worker in this process until the stack is closed; return its engine.

    Raises NotReady, or the error that ends the worker before it is `ready`, such as NoModel.
    """
    engines: list[_CountingEngine] = []

    def load(stt: SttSettings) -> Engine:
        engines.append(_CountingEngine(load_engine(stt)))
        return engines[0]

    store = await stack.enter_async_context(open_store(settings))
    handler = SttHandler(store, settings.stt, load=load)
    stop = asyncio.Event()
    running = asyncio.create_task(
        ConsumerLoop(store, settings, handler, consumer_name("stt")).run(stop)
    )

    async def end_worker() -> None:
        stop.set()
        await running

    stack.push_async_callback(end_worker)
    waiting = asyncio.create_task(ready)
    done, _ = await asyncio.wait(
        {running, waiting}, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED
    )
    waiting.cancel()
    for task in done:
        task.result()
    if not done:
        raise NotReady(f"the STT worker is not ready after {READY_S:g} s")
    return engines[0]
