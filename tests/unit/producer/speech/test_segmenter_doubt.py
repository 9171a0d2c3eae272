"""A segment of which the detector was hardly ever sure is skipped; what was handed out stays."""

import math

import pytest

from common.audio import SAMPLE_RATE
from producer.speech.endpointing import Endpointing
from producer.speech.segmenter import (
    Paused,
)
from tests.support.segmenting import CONVERSATION, FRAME_S, QUIET, VOICE, cut, flags

SURE = math.ceil(CONVERSATION.start_speech_s / FRAME_S)


@pytest.mark.parametrize(("first", "step"), [(0, 1), (7, 3), (round(0.8 / FRAME_S) - SURE, 1)])
def test_as_little_of_which_the_detector_is_sure_as_tells_speech_makes_an_utterance(
    first: int, step: int
) -> None:
    voiced = flags((QUIET, 1), (VOICE, 0.8), (QUIET, 2))
    at = [round(1 / FRAME_S) + first + step * number for number in range(SURE)]
    run = cut(voiced, CONVERSATION, sure=[index in at for index in range(len(voiced))])
    assert (len(run.segments), run.skipped) == (1, [])
    run = cut(voiced, CONVERSATION, sure=[index in at[1:] for index in range(len(voiced))])
    assert (run.segments, [one.is_doubtful for one in run.skipped]) == ([], [True])


@pytest.mark.parametrize("seconds", [1, 40])
def test_what_the_detector_is_never_sure_of_is_doubtful(seconds: float) -> None:
    voiced = flags((QUIET, 1), (VOICE, seconds), (QUIET, 1), (QUIET, 2))
    # sure before and after, where nothing is voiced, is sure of nothing
    run = cut(voiced, CONVERSATION, sure=[not flag for flag in voiced])
    assert run.segments == []
    assert run.skipped
    assert all(skip.is_doubtful for skip in run.skipped)


def test_a_short_segment_is_not_doubtful() -> None:
    [skip] = cut(flags((VOICE, 0.3), (QUIET, 2)), CONVERSATION).skipped
    assert not skip.is_doubtful


ENOUGH = math.ceil(0.9 / FRAME_S)


@pytest.mark.parametrize(("seconds", "sure_s"), [(2, 0.2), (6, 0.6), (20, 0.9)])
@pytest.mark.parametrize("step", [1, 7])
def test_of_a_long_segment_the_detector_is_sure_of_a_tenth_or_of_as_much_as_a_word(
    seconds: int, sure_s: float, step: int
) -> None:
    voiced = flags((VOICE, seconds), (QUIET, 2))
    at = [3 + step * number for number in range(round(sure_s / FRAME_S))]
    run = cut(voiced, CONVERSATION, sure=[index in at for index in range(len(voiced))])
    assert (len(run.segments), run.skipped) == (1, [])
    run = cut(voiced, CONVERSATION, sure=[index in at[1:] for index in range(len(voiced))])
    assert (run.segments, [one.is_doubtful for one in run.skipped]) == ([], [True])


@pytest.mark.parametrize("eager_pause_s", [None, 0.25])
def test_what_was_sure_at_a_pause_stays_an_utterance(eager_pause_s: float | None) -> None:
    rules = Endpointing(eager_pause_s=eager_pause_s)
    voiced = flags((VOICE, 1), (QUIET, 0.5), (VOICE, 9), (QUIET, 2))
    sure = [index < 0.1 / FRAME_S for index in range(len(voiced))]
    run = cut(voiced, rules, sure=sure)
    assert (len(run.segments), run.skipped) == (1, []), "a draft of it may have gone out"
    without = flags((VOICE, 10), (QUIET, 2))
    assert cut(without, rules, sure=sure[: len(without)]).segments == []


def test_long_talk_is_whole_once_the_detector_was_sure() -> None:
    voiced = flags((VOICE, 65), (QUIET, 2))
    sure = [index < ENOUGH for index in range(len(voiced))]
    run = cut(voiced, CONVERSATION, sure=sure)
    assert sum(one.speech_samples for one in run.segments) == 65 * SAMPLE_RATE


def test_nothing_doubtful_is_handed_out_at_a_pause() -> None:
    eager = Endpointing(eager_pause_s=0.25)
    voiced = flags((VOICE, 1), (QUIET, 0.5), (VOICE, 1), (QUIET, 2))
    sure = [index * FRAME_S >= 1.5 for index in range(len(voiced))]
    paused = [event for event in cut(voiced, eager, sure=sure).events if isinstance(event, Paused)]
    assert [event.segment.end_of_speech for event in paused] == [round(2.5 * SAMPLE_RATE)]
