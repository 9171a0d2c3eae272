"""Endpointing values are complete, and senseless ones are refused with a sentence."""

import math
from typing import Any

import pytest

from common.errors import BadInput
from common.settings import ListenSettings
from producer.speech.endpointing import PRESETS, Endpointing, endpointing, endpointing_rules


def test_the_presets_are_the_documented_ones() -> None:
    assert {name: (preset.silence_s, preset.min_speech_s) for name, preset in PRESETS.items()} == {
        "command": (0.6, 0.3),
        "conversation": (1.0, 0.5),
        "dictation": (2.0, 1.0),
    }
    assert endpointing("conversation") == PRESETS["conversation"]


def test_single_values_are_overridden_and_none_keeps_the_presets() -> None:
    changed = endpointing("command", silence_s=0.8, min_speech_s=None, pre_roll_s=0)
    assert (changed.silence_s, changed.min_speech_s, changed.pre_roll_s) == (0.8, 0.3, 0)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"silence_s": 0}, "silence_s is 0 s; it must be above 0"),
        ({"silence_s": -1}, "silence_s is -1 s"),
        ({"silence_s": math.nan}, "silence_s must be a number of seconds"),
        ({"max_utterance_s": math.inf}, "max_utterance_s must be a number of seconds"),
        ({"pre_roll_s": -0.1}, "pre_roll_s is -0.1 s; it must be 0 or more"),
        ({"start_speech_s": 0.2}, "does not fit into start_window_s"),
        ({"silence_s": 0.1}, "shorter than start_window_s"),
        ({"eager_pause_s": 1.0}, "must be shorter than silence_s"),
        ({"eager_pause_s": 0.2, "eager_growth": 0}, "eager_growth is 0"),
        ({"max_utterance_s": 0.8}, "give it at least 1 s"),
    ],
)
def test_senseless_values_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        Endpointing(**values)
    with pytest.raises(BadInput, match=sentence):
        endpointing("conversation", **values)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="no preset 'chat'; choose one of command, conversation"):
        endpointing("chat")
    with pytest.raises(BadInput, match="'silence' is no endpointing value"):
        endpointing("conversation", silence=1.0)


def test_a_detector_that_hears_later_gets_more_pre_roll() -> None:
    webrtc = endpointing_rules(ListenSettings(vad="webrtc", pre_roll_s=0.3))
    cascade = endpointing_rules(ListenSettings(vad="cascade", pre_roll_s=0.3, min_speech_s=0.2))
    assert webrtc.pre_roll_s == 0.3
    assert 0.35 < cascade.pre_roll_s < 0.5
    assert cascade.min_speech_s == 0.2
