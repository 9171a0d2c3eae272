"""The real faster-whisper on the bundled model hears the bundled recording's sentences.

And hears nothing in silence, noise and clicks. What it cannot do (other words, human voices) is
said in `workers/stt/demo_model/README.md`.
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import ops.demo
from common.audio import SAMPLE_RATE, encode
from common.events import Event, Skipped, Transcript, parse_event
from common.redis.store import Store
from common.settings import Settings, SttSettings
from common.transitions.publishing import publish
from common.utterance import Utterance
from workers.loop.consumer_loop import ConsumerLoop
from workers.stt.engine import Hints
from workers.stt.handler import SttHandler
from workers.stt.whisper import Whisper, load

WINDOW_S = 30  # what Whisper hears at once

RECORDING: Final = Path(ops.demo.__file__).parent / "recording"
MARGIN_S: Final = 0.3  # as pre-roll and tail leave it
STT: Final = SttSettings(model="demo", device="cpu", cpu_threads=2)

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Recording:
    """The bundled conversation: 16 kHz mono samples, and what is where in it."""

    samples: Samples
    sentences: list[dict[str, Any]]
    noises: list[dict[str, Any]]

    def cut(self, part: dict[str, Any]) -> Samples:
        start = round((part["start_s"] - MARGIN_S) * SAMPLE_RATE)
        return self.samples[start : round((part["end_s"] + MARGIN_S) * SAMPLE_RATE)]


@pytest.fixture(scope="module")
def recording() -> Recording:
    samples, rate = soundfile.read(RECORDING / "conversation.flac", dtype="int16")
    assert rate == SAMPLE_RATE
    about = json.loads((RECORDING / "conversation.json").read_text(encoding="utf-8"))
    return Recording(samples, about["sentences"], about["noises"])


@pytest.fixture(scope="module")
def whisper() -> Iterator[Whisper]:
    """Loaded with no way to a network: the bundled folder is all that it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        yield load(STT)


def normal(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9' ]", " ", text.lower()).split()


def test_the_bundled_model_runs_on_the_cpu_in_int8(whisper: Whisper) -> None:
    assert whisper.name == "demo"
    assert whisper.device.startswith("cpu int8")


def test_the_sentences_of_the_recording_come_out_word_for_word(
    whisper: Whisper, recording: Recording
) -> None:
    pairs = [
        (normal(sentence["text"]), normal(whisper.transcribe(recording.cut(sentence)).text))
        for sentence in recording.sentences
    ]
    assert len(pairs) >= 6
    wrong = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(wrong) <= len(pairs) // 6, wrong


def test_scores_and_lengths_come_with_the_text(whisper: Whisper, recording: Recording) -> None:
    samples = recording.cut(recording.sentences[0])
    heard = whisper.transcribe(samples)
    assert heard.audio_ms == round(len(samples) / 16)
    assert heard.decode_ms > 0
    assert heard.language == "en"
    assert heard.avg_logprob is not None
    assert heard.no_speech_prob is not None
    assert heard.avg_logprob > -1
    assert heard.no_speech_prob < 0.6


def noises() -> dict[str, Samples]:
    random = np.random.default_rng(7)
    time_s = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    return {
        "silence": np.zeros(2 * SAMPLE_RATE, np.int16),
        "one sample": np.zeros(1, np.int16),
        "faint noise": random.normal(0, 30, SAMPLE_RATE).astype(np.int16),
        "white noise": random.normal(0, 2000, 2 * SAMPLE_RATE).astype(np.int16),
        "mains hum": (3000 * np.sin(2 * np.pi * 50 * time_s)).astype(np.int16),
    }


@pytest.mark.parametrize("kind", list(noises()))
def test_what_is_no_speech_has_no_text(whisper: Whisper, kind: str) -> None:
    assert whisper.transcribe(noises()[kind]).text == ""


def test_the_click_in_the_recording_has_no_text(whisper: Whisper, recording: Recording) -> None:
    (click,) = (noise for noise in recording.noises if noise["kind"] == "click")
    assert whisper.transcribe(recording.cut(click)).text == ""


def test_more_than_one_window_is_transcribed_to_its_end(
    whisper: Whisper, recording: Recording
) -> None:
    # one that the bundled model, made for single commands, hears with a long silence behind it too
    sentence = recording.cut(recording.sentences[6])
    pause = np.zeros(WINDOW_S * SAMPLE_RATE - len(sentence), np.int16)
    once = whisper.transcribe(sentence).text
    assert once
    assert whisper.transcribe(np.concatenate([sentence, pause, sentence])).text == f"{once} {once}"


def test_a_hint_for_another_language_does_not_stop_an_english_model(
    whisper: Whisper, recording: Recording
) -> None:
    samples = recording.cut(recording.sentences[0])
    assert whisper.transcribe(samples, Hints("de")).text == whisper.transcribe(samples).text


def test_threads_may_share_one_model(whisper: Whisper, recording: Recording) -> None:
    samples = [recording.cut(sentence) for sentence in recording.sentences[:2]]
    alone = [whisper.transcribe(part).text for part in samples]
    together: dict[int, str] = {}

    def hear(number: int) -> None:
        together[number] = whisper.transcribe(samples[number]).text

    threads = [threading.Thread(target=hear, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[0], together[1]] == alone


async def test_a_worker_turns_speech_into_a_transcript_and_silence_into_a_skip(
    store: Store, recording: Recording
) -> None:
    speech = recording.cut(recording.sentences[0])
    for number, samples in enumerate([speech, noises()["silence"]], start=1):
        entry = Utterance(
            id=f"u{number}", session="s1", samples=len(samples), audio=encode(samples)
        )
        await publish(store, entry)
    stop = asyncio.Event()
    handler = SttHandler(store, STT)
    work = asyncio.create_task(
        ConsumerLoop(store, Settings(stt=STT), handler, "stt-test").run(stop)
    )
    try:
        async with asyncio.timeout(60):
            while len(ended := await _ended(store)) < 2:
                assert not work.done()
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await work
    transcript = next(event for event in ended if isinstance(event, Transcript))
    assert (transcript.turn, transcript.id, transcript.data.model) == (1, "u1", "demo")
    assert transcript.data.worker == "stt-test"
    assert transcript.data.audio_ms == round(len(speech) / 16)
    skipped = next(event for event in ended if isinstance(event, Skipped))
    assert (skipped.turn, skipped.id, skipped.data.reason) == (2, "u2", "noise")


async def _ended(store: Store) -> list[Event]:
    rows: Any = await store.redis.xrange(store.all_shards()[0].results)
    events = [parse_event(fields) for _, fields in rows]
    return [event for event in events if isinstance(event, Transcript | Skipped)]
