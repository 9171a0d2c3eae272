"""The gate opens for what stands out of the noise, learns a new noise within its window, and does
not flutter at the edge."""

import numpy as np
import pytest
from numpy.typing import NDArray

from producer.sources.source import frame_samples
from producer.speech.energy_gate import (
    CLOSE_DB,
    FLOOR_WINDOW_S,
    LOWEST_FLOOR_DBFS,
    OPEN_DB,
    EnergyGate,
)
from tests.support.speechlike import room_noise, speechlike

FRAME = frame_samples(30)


def tone(dbfs: float) -> NDArray[np.int16]:
    """A frame whose root mean square is `dbfs`."""
    amplitude = 32_768 * 10 ** (dbfs / 20)
    return np.tile(np.array([amplitude, -amplitude]), FRAME // 2).astype(np.int16)


def loud_share(gate: EnergyGate, audio: NDArray[np.int16]) -> float:
    frames = [audio[at : at + FRAME] for at in range(0, len(audio) - FRAME + 1, FRAME)]
    return float(np.mean([gate.is_loud(frame) for frame in frames]))


@pytest.mark.parametrize("level", [0.0, 0.0003, 0.01])
def test_speech_stands_out_of_a_room(level: float) -> None:
    gate = EnergyGate(FRAME)
    loud_share(gate, room_noise(4, level))
    assert loud_share(gate, room_noise(2, level)) == 0
    assert loud_share(gate, speechlike(2)) > 0.9


def test_speech_is_heard_from_the_first_frame_on() -> None:
    assert loud_share(EnergyGate(FRAME), speechlike(2)) > 0.9


def test_a_fan_that_starts_is_learned() -> None:
    gate = EnergyGate(FRAME)
    loud_share(gate, room_noise(4))
    assert loud_share(gate, room_noise(0.5, 0.02)) == 1
    loud_share(gate, room_noise(FLOOR_WINDOW_S, 0.02))
    assert loud_share(gate, room_noise(2, 0.02)) == 0


def test_a_fan_that_stops_is_forgotten_at_once() -> None:
    gate = EnergyGate(FRAME)
    loud_share(gate, room_noise(6, 0.02))
    loud_share(gate, room_noise(1))
    assert gate.floor_dbfs == LOWEST_FLOOR_DBFS
    assert loud_share(gate, speechlike(1, level=0.02)) > 0.9


def test_what_opened_the_gate_keeps_it_open_a_little_below() -> None:
    between = LOWEST_FLOOR_DBFS + (OPEN_DB + CLOSE_DB) / 2
    gate = EnergyGate(FRAME)
    assert not gate.is_loud(tone(between))
    assert gate.is_loud(tone(LOWEST_FLOOR_DBFS + OPEN_DB + 1))
    assert gate.is_loud(tone(between))
    assert not gate.is_loud(tone(LOWEST_FLOOR_DBFS + CLOSE_DB - 1))
    assert not gate.is_loud(tone(between))
