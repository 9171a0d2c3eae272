"""Muted audio goes nowhere: not past the source, and not out of the thread that records."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from structlog.testing import capture_logs

from producer.sources.level import QUIETEST_DBFS
from producer.sources.mute import MutableSource, Mute
from producer.sources.source import Framer
from producer.speech.endpointing import PRESETS
from producer.speech.segmenter import Segmenter, SpeechSegment
from tests.support.speech_script import FRAME, SpeechScript
from tests.support.speechlike import speechlike


def constant(value: int, count: int) -> list[NDArray[np.int16]]:
    return [np.full(FRAME, value, np.int16) for _ in range(count)]


def test_what_is_said_while_muted_is_silence() -> None:
    mute = Mute()
    heard: list[int] = []
    levels: list[float] = []
    source = MutableSource(SpeechScript(constant(1_000, 9)), mute)
    for number, frame in enumerate(source):
        heard.append(int(frame[0]))
        levels.append(source.level_dbfs)
        assert frame.shape == (FRAME,)
        if number in (2, 5):
            mute.toggle()
    assert heard == [1_000] * 3 + [0] * 3 + [1_000] * 3
    assert levels[4] == QUIETEST_DBFS < levels[0]


def test_it_may_begin_muted() -> None:
    assert not any(
        frame.any() for frame in MutableSource(SpeechScript(constant(1, 5)), Mute(is_on=True))
    )


def test_no_utterance_holds_muted_sound_not_even_in_its_pre_roll() -> None:
    mute = Mute()
    segmenter = Segmenter(PRESETS["conversation"], FRAME)
    secret, spoken = speechlike(0.6, seed=1), speechlike(1.5, seed=2)
    frames = list(Framer(FRAME).push(np.concatenate((secret, spoken, np.zeros(24_000, np.int16)))))

    def unmute_before(frames: list[NDArray[np.int16]], number: int) -> Iterator[int]:
        mute.toggle()
        for position, frame in enumerate(MutableSource(SpeechScript(frames), mute)):
            for event in segmenter.push(frame, bool(frame.any()), True):
                if isinstance(event, SpeechSegment):
                    yield np.flatnonzero(event.samples)[0] + event.start
            if position == number - 1:
                mute.toggle()

    (first_sound,) = unmute_before(frames, 20)
    assert first_sound >= len(secret), "the 20 frames before are what was secret"


def test_each_change_is_told() -> None:
    mute = Mute()
    with capture_logs() as logs:
        mute.toggle()
        mute.toggle()
    assert [line["event"] for line in logs] == ["muted", "unmuted"]


def test_the_rest_of_the_source_is_as_before() -> None:
    script = SpeechScript(constant(1, 3), is_live=True)
    with MutableSource(script, Mute()) as source:
        assert (source.name, source.is_live, source.frame_samples) == ("script", True, FRAME)
        source.close()
        assert list(source) == []
