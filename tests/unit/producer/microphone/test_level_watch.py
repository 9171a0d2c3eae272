"""A muted and a clipping microphone are each told once, and once more when that is over."""

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from producer.microphone.level_watch import CALM_S, SILENT_S, LevelWatch
from tests.support.speechlike import room_noise, speechlike

FRAME = 480


def told(watch: LevelWatch, *parts: NDArray[np.int16]) -> list[str]:
    audio = np.concatenate(parts)
    with capture_logs() as logs:
        for at in range(0, len(audio), FRAME):
            watch.push(audio[at : at + FRAME])
    return [line["event"] for line in logs]


def nothing(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * 16_000), np.int16)


def clipped(seconds: float) -> NDArray[np.int16]:
    return (speechlike(seconds).astype(np.int32) * 4).clip(-32_768, 32_767).astype(np.int16)


def test_a_quiet_room_and_speech_are_nothing_to_tell() -> None:
    assert (
        told(LevelWatch(), room_noise(15), speechlike(15, level=0.9), nothing(SILENT_S / 2)) == []
    )


def test_a_muted_microphone_is_told_once_and_its_return() -> None:
    watch = LevelWatch()
    assert told(watch, nothing(3 * SILENT_S)) == ["microphone_silent"]
    assert told(watch, room_noise(1)) == ["microphone_heard_again"]
    assert told(watch, nothing(SILENT_S + 1)) == ["microphone_silent"]


def test_the_flicker_of_the_last_bit_is_silence() -> None:
    flicker = np.random.default_rng(0).integers(-1, 2, 16_000 * 12).astype(np.int16)
    assert told(LevelWatch(), flicker) == ["microphone_silent"]


def test_clipping_is_told_once_and_its_end() -> None:
    watch = LevelWatch()
    assert told(watch, clipped(3), speechlike(2), clipped(3)) == ["microphone_clips"]
    assert told(watch, speechlike(CALM_S / 2)) == []
    assert told(watch, room_noise(CALM_S)) == ["microphone_clips_no_more"]


@pytest.mark.parametrize("level", [0.99, 0.5])
def test_a_loud_voice_is_no_clipping(level: float) -> None:
    assert told(LevelWatch(), speechlike(5, level=level)) == []
