"""No first word is lost: of twenty sentences that begin with a plosive or a fricative, said into
the (virtual) microphone, every one is transcribed with it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.settings import SttSettings
from ops.bench.hearing.noise import white
from ops.bench.hearing.scenes import ROOM_RMS
from ops.bench.hearing.voices import Clip, load_recording, set_level, speak, trim
from ops.demo.recording_file import normalise
from tests.support.pipeline import running_pipeline
from tests.support.virtual_microphone import VirtualMicrophone
from tests.support.waiting import until_sync
from workers.stt.whisper import Whisper, load

SENTENCES = 20
MARGINS_S = (0.2, 0.3, 0.45)
GAP_S = 1.5
LEAD_S = 3.0

TEXTS = (
    "Turn on the kitchen lights.", "Tell me a joke.", "Please tell me a story.", "Stop, please.",
    "Cancel that.", "Play some piano music.", "Thank you very much.", "Tell me a riddle.",
    "Set a timer for ten minutes.", "See you tomorrow.", "Sing me a song.", "Good morning.",
    "Continue.", "That was funny.", "Turn off the radio.", "Please say that again.",
    "Can you tell me a joke?", "Hello, how are you?", "How are you today?", "Goodbye.",
    "Tell me a story about a robot.", "Can you hear me?", "Be quiet, please.", "Thanks a lot.",
    "Please turn on the bedroom lights.", "Turn the lights off.", "Say that again.", "Help.",
)  # fmt: skip
"""The first sounds: p t k b d g, f th s sh h."""
VOICES = (("flite", "rms"), ("espeak-ng", "en-us+m5"), ("flite", "slt"), ("espeak-ng", "en-us+f4"))


def in_room(*pieces: NDArray[np.float32]) -> NDArray[np.int16]:
    """The pieces with the hiss of a quiet room under them."""
    samples = np.concatenate(pieces)
    hiss = np.float32(ROOM_RMS) * white(len(samples), np.random.default_rng(0))
    scaled: NDArray[np.float32] = np.rint((samples + hiss) * 32_767)
    return scaled.clip(-32_768, 32_767).astype(np.int16)


def quiet(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def heard_when_cut_perfectly(model: Whisper) -> list[Clip]:
    """Sentences that the model gets right, however much silence is around them: those it does not
    would tell nothing about the ear."""
    spoken = [clip for clip in load_recording() if clip.text[0] in "HTSR"]
    for text in TEXTS:
        for engine, voice in VOICES:
            (part,) = set_level([trim(speak(text, engine, voice))])
            spoken.append(Clip(text, (part,), f"{engine}:{voice}"))
    chosen: list[Clip] = []
    for clip in spoken:
        if len(chosen) == SENTENCES:
            break
        if clip.text in [one.text for one in chosen] or not clip.text.startswith(
            tuple("PTCKBGFSH")
        ):
            continue
        cuts = [in_room(quiet(margin), clip.parts[0], quiet(margin)) for margin in MARGINS_S]
        if all(normalise(model.transcribe(cut).text) == normalise(clip.text) for cut in cuts):
            chosen.append(clip)
    return chosen


@pytest.mark.full
@pytest.mark.timeout(400)
def test_every_first_word_is_heard(tmp_path: Path) -> None:
    clips = heard_when_cut_perfectly(load(SttSettings(model="demo")))
    assert len(clips) == SENTENCES, "the model should know more of these sentences"
    with (
        VirtualMicrophone() as microphone,
        running_pipeline(tmp_path) as parts,
        parts.running("listen", "--session", "words", env=microphone.env),
    ):
        until_sync(
            lambda: [path.read_text() for path in tmp_path.glob("listen-*.log")],
            lambda logs: any("listening" in log for log in logs),
        )
        spoken = [piece for clip in clips for piece in (clip.parts[0], quiet(GAP_S))]
        microphone.play_samples(in_room(quiet(LEAD_S), *spoken))
        events = parts.wait_for_endings("words", SENTENCES)
    by_turn = sorted((e for e in events if e["type"] == "transcript"), key=lambda e: e["turn"])
    heard = [normalise(event["data"]["text"]) for event in by_turn]
    said = [normalise(clip.text) for clip in clips]
    wrong = [
        (right, got)
        for right, got in zip(said, heard, strict=True)
        if right.split()[0] != got.split()[0]
    ]
    assert not wrong
