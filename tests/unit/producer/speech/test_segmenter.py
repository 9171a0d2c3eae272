"""What a person would notice of the segmenter: onsets, pauses, tails, clicks, long talk, drafts."""

import itertools

import numpy as np
import pytest

from common.audio import SAMPLE_RATE
from producer.speech.endpointing import PRESETS, Endpointing
from producer.speech.segmenter import (
    Paused,
    Resumed,
    Segmenter,
    SegmentEvent,
    Skipped,
    SpeechSegment,
    SpeechStarted,
)
from tests.support.segmenting import (
    CONVERSATION,
    FRAME,
    FRAME_S,
    QUIET,
    VOICE,
    cut,
    flags,
    is_final,
)


def test_an_utterance_holds_pre_roll_speech_inner_silence_and_tail() -> None:
    run = cut(flags((QUIET, 2), (VOICE, 1), (QUIET, 0.7), (VOICE, 1), (QUIET, 3)), CONVERSATION)
    [segment] = run.segments
    assert segment.start == round(1.7 * SAMPLE_RATE)
    assert segment.end_of_speech == round(4.7 * SAMPLE_RATE)
    assert len(segment.samples) == round((0.3 + 2.7 + 0.3) * SAMPLE_RATE)
    assert segment.speech_samples == 2 * SAMPLE_RATE


def test_the_utterance_is_handed_out_when_the_silence_limit_is_reached() -> None:
    segmenter = Segmenter(CONVERSATION, FRAME)
    frame = np.zeros(FRAME, np.int16)
    for flag in flags((VOICE, 1), (QUIET, 0.99)):
        assert not any(is_final(event) for event in segmenter.push(frame, flag, flag))
    assert [type(event) for event in segmenter.push(frame, QUIET, QUIET)] == [SpeechSegment]
    assert segmenter.finish() == []


@pytest.mark.parametrize(
    ("preset", "silence_s", "minimum_s"),
    [("command", 0.6, 0.3), ("conversation", 1.0, 0.5), ("dictation", 2.0, 1.0)],
)
def test_presets_differ_in_silence_and_minimum(
    preset: str, silence_s: float, minimum_s: float
) -> None:
    endpointing = PRESETS[preset]
    two = flags((VOICE, minimum_s), (QUIET, silence_s), (VOICE, minimum_s), (QUIET, silence_s))
    assert len(cut(two, endpointing).segments) == 2
    one = flags((VOICE, minimum_s), (QUIET, silence_s - 0.1), (VOICE, minimum_s))
    assert len(cut(one, endpointing).segments) == 1
    run = cut(flags((VOICE, minimum_s - 0.1), (QUIET, silence_s)), endpointing)
    assert run.segments == []
    [skipped] = run.skipped
    assert skipped.speech_s == pytest.approx(minimum_s - 0.1)
    assert skipped.minimum_s == minimum_s


def test_minimum_speech_counts_voiced_time_and_not_the_pauses() -> None:
    run = cut(flags((VOICE, 0.2), (QUIET, 0.6), (VOICE, 0.2), (QUIET, 2)), CONVERSATION)
    assert run.segments == []
    assert run.skipped[0].speech_s == pytest.approx(0.4)


def test_a_click_opens_nothing() -> None:
    run = cut(flags((QUIET, 1), (VOICE, 0.05), (QUIET, 2), (VOICE, 0.08)), CONVERSATION)
    assert run.events == []


def test_a_click_in_the_silence_does_not_put_off_the_end() -> None:
    quiet = cut(flags((VOICE, 1), (QUIET, 2)), CONVERSATION)
    click = cut(flags((VOICE, 1), (QUIET, 0.8), (VOICE, 0.03), (QUIET, 1.17)), CONVERSATION)
    assert [repr(each) for each in click.segments] == [repr(each) for each in quiet.segments]


def test_a_click_in_the_tail_is_not_counted_as_speech() -> None:
    run = cut(flags((VOICE, 1), (QUIET, 0.1), (VOICE, 0.05), (QUIET, 2)), CONVERSATION)
    [segment] = run.segments
    assert segment.speech_samples == segment.end_of_speech == SAMPLE_RATE


@pytest.mark.parametrize(("pause_s", "segments"), [(0.99, 1), (1.0, 2)])
def test_a_silence_lasts_until_the_first_sound_of_the_speech_after_it(
    pause_s: float, segments: int
) -> None:
    """Not until so much of it was heard that it is no click."""
    run = cut(flags((VOICE, 1), (QUIET, pause_s), (VOICE, 1), (QUIET, 2)), CONVERSATION)
    assert len(run.segments) == segments
    assert sum(each.speech_samples for each in run.segments) == 2 * SAMPLE_RATE


@pytest.mark.parametrize("click_s", [0.9, 0.99, 1.0])
def test_a_click_at_the_end_of_the_silence_delays_what_it_does_not_change(click_s: float) -> None:
    """By no more than it takes to tell it from speech, again and again."""
    clicks = [(VOICE, 0.03), (QUIET, 0.08)] * 20
    voiced = flags((VOICE, 1), (QUIET, click_s), *clicks, (QUIET, 2))
    run = cut(voiced, CONVERSATION)
    quiet = cut(flags((VOICE, 1), (QUIET, 5)), CONVERSATION)
    assert [repr(each) for each in run.segments] == [repr(each) for each in quiet.segments]
    segmenter = Segmenter(CONVERSATION, FRAME)
    frames = itertools.count(1)
    for flag in voiced:
        at = next(frames) * FRAME_S
        if any(isinstance(event, SpeechSegment) for event in push(segmenter, flag)):
            break
    assert 2 <= round(at, 2) <= 2 + CONVERSATION.start_window_s


def push(segmenter: Segmenter, flag: bool) -> list[SegmentEvent]:
    return segmenter.push(np.zeros(FRAME, np.int16), flag, flag)


def test_the_first_sound_is_kept_although_speech_is_told_later() -> None:
    flickering = flags((QUIET, 1), (VOICE, 0.02), (QUIET, 0.03), (VOICE, 1), (QUIET, 2))
    run = cut(flickering, CONVERSATION)
    assert run.events[0] == SpeechStarted(SAMPLE_RATE)
    assert run.segments[0].start == round(0.7 * SAMPLE_RATE)


def test_the_pre_roll_does_not_repeat_the_tail_of_the_utterance_before() -> None:
    patient = Endpointing(silence_s=0.4, pre_roll_s=1.0, tail_s=0.4)
    first, second = cut(flags((VOICE, 1), (QUIET, 0.5), (VOICE, 1)), patient).segments
    assert second.start == first.start + len(first.samples)


def test_the_pre_roll_may_hold_what_was_skipped() -> None:
    patient = Endpointing(silence_s=0.4, pre_roll_s=1.0)
    run = cut(flags((QUIET, 1), (VOICE, 0.2), (QUIET, 0.5), (VOICE, 1)), patient)
    assert len(run.skipped) == 1
    assert run.segments[0].start == round(0.7 * SAMPLE_RATE)


def test_a_tail_longer_than_the_silence_is_as_long_as_the_silence() -> None:
    endpointing = Endpointing(silence_s=0.4, tail_s=5)
    [segment] = cut(flags((VOICE, 1), (QUIET, 2)), endpointing).segments
    assert len(segment.samples) - segment.end_of_speech == round(0.4 * SAMPLE_RATE)


def test_finish_hands_out_what_is_open() -> None:
    [segment] = cut(flags((QUIET, 1), (VOICE, 1), (QUIET, 0.1)), CONVERSATION).segments
    assert len(segment.samples) == round(1.4 * SAMPLE_RATE)


def test_finish_skips_what_is_too_short() -> None:
    run = cut(flags((QUIET, 1), (VOICE, 0.3)), CONVERSATION)
    assert (len(run.segments), len(run.skipped)) == (0, 1)


def test_long_talk_is_cut_at_the_quietest_place_of_the_last_seconds() -> None:
    voiced = flags((VOICE, 40), (QUIET, 2))
    noise = np.random.default_rng(0).normal(0, 3_000, len(voiced) * FRAME).astype(np.int16)
    quietest = slice(round(28.2 * SAMPLE_RATE), round(28.4 * SAMPLE_RATE))
    noise[quietest] //= 100
    noise[round(20 * SAMPLE_RATE) : round(21 * SAMPLE_RATE)] = 0  # quieter, but too early
    first, second = cut(voiced, CONVERSATION, noise).segments
    assert (first.continued, first.continues) == (True, False)
    assert (second.continued, second.continues) == (False, True)
    assert quietest.start < second.start < quietest.stop
    assert second.end_of_speech == 40 * SAMPLE_RATE
    assert first.speech_samples + second.speech_samples == 40 * SAMPLE_RATE


def test_a_short_rest_of_long_talk_is_not_skipped() -> None:
    demanding = Endpointing(min_speech_s=5)
    run = cut(flags((VOICE, 30.1), (QUIET, 2)), demanding)
    first, rest = run.segments
    assert rest.continues
    assert 0 < rest.speech_samples < 5 * SAMPLE_RATE
    assert first.speech_samples + rest.speech_samples == round(30.1 * SAMPLE_RATE)
    assert run.skipped == []


def test_a_pause_across_the_maximum_ends_the_utterance_instead_of_cutting_it() -> None:
    [segment] = cut(flags((VOICE, 29.9), (QUIET, 2)), CONVERSATION).segments
    assert not segment.continued
    assert len(segment.samples) == 30 * SAMPLE_RATE


def test_memory_is_bounded_by_the_longest_utterance() -> None:
    segmenter = Segmenter(CONVERSATION, FRAME)
    most = 0
    for flag in flags((VOICE, 100), (QUIET, 100)):
        segmenter.push(np.zeros(FRAME, np.int16), flag, flag)
        kept = len(segmenter._open.frames) if segmenter._open else len(segmenter._heard)
        most = max(most, kept)
    assert most * FRAME_S <= CONVERSATION.max_utterance_s + CONVERSATION.silence_s
    assert len(segmenter._heard) * FRAME_S <= 0.5


def test_eager_pause_and_resumption() -> None:
    eager = Endpointing(eager_pause_s=0.25)
    run = cut(flags((VOICE, 1), (QUIET, 0.5), (VOICE, 1), (QUIET, 2)), eager)
    kinds = [type(event) for event in run.events]
    assert kinds == [SpeechStarted, Paused, Resumed, Paused, SpeechSegment]
    first, last = (event.segment for event in run.events if isinstance(event, Paused))
    assert len(first.samples) == round(1.25 * SAMPLE_RATE)
    assert first.start == last.start == run.segments[0].start
    assert last.end_of_speech == run.segments[0].end_of_speech


@pytest.mark.parametrize("tail_s", [0.0, 0.3, 0.5, 0.8])
def test_a_draft_holds_the_tail_because_it_may_be_all_that_is_sent(tail_s: float) -> None:
    eager = Endpointing(eager_pause_s=0.25, tail_s=tail_s)
    run = cut(flags((VOICE, 1), (QUIET, 2)), eager)
    (draft,) = [event.segment for event in run.events if isinstance(event, Paused)]
    assert len(run.segments[0].samples) - len(draft.samples) <= 0.05 * SAMPLE_RATE


@pytest.mark.parametrize("most", [2, 3, 4])
def test_eager_pauses_grow_and_come_to_an_end(most: int) -> None:
    stretches = [(VOICE, 0.5), *[(QUIET, 0.3), (VOICE, 0.5)] * 2, *[(QUIET, 0.5), (VOICE, 0.5)] * 4]
    eager = Endpointing(eager_pause_s=0.25, eager_max=most, eager_growth=1.6)
    run = cut(flags(*stretches, (QUIET, 2)), eager)
    pauses = [event.segment for event in run.events if isinstance(event, Paused)]
    silences = [pause.start + len(pause.samples) - pause.end_of_speech for pause in pauses]
    # 0.3 s is too short the second time, and 0.5 s from the third on; the tail is 0.3 s at most
    assert [round(silence / SAMPLE_RATE, 2) for silence in silences] == [0.25, 0.3, 0.3][:most]
    ends = [round(pause.end_of_speech / SAMPLE_RATE, 1) for pause in pauses]
    assert ends == [0.5, 2.1, 6.1][:most]


def test_the_continuation_of_a_cut_utterance_has_eager_pauses_of_its_own() -> None:
    eager = Endpointing(eager_pause_s=0.25, eager_max=1, max_utterance_s=3)
    stretches = [(VOICE, 1), (QUIET, 0.3), (VOICE, 3), (QUIET, 0.3), (VOICE, 0.5), (QUIET, 2)]
    run = cut(flags(*stretches), eager)
    starts = [event.segment.start for event in run.events if isinstance(event, Paused)]
    assert starts == [segment.start for segment in run.segments]


def test_a_pause_after_too_little_speech_is_not_worth_transcribing() -> None:
    run = cut(flags((VOICE, 0.3), (QUIET, 2)), Endpointing(eager_pause_s=0.25))
    assert [type(event) for event in run.events] == [SpeechStarted, Skipped]


@pytest.mark.parametrize("frame_ms", [10, 20, 30])
def test_durations_are_reached_whatever_the_length_of_a_frame(frame_ms: int) -> None:
    size = SAMPLE_RATE * frame_ms // 1000
    segmenter = Segmenter(PRESETS["command"], size)
    frame = np.zeros(size, np.int16)
    events: list[SegmentEvent] = []
    for count, flag in ((600 // frame_ms, VOICE), (600 // frame_ms, QUIET)):
        for _ in range(count):
            events += segmenter.push(frame, flag, flag)
    [segment] = [event for event in events if isinstance(event, SpeechSegment)]
    assert len(segment.samples) == round(0.9 * SAMPLE_RATE)


def test_a_frame_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="160 samples expected, got 320"):
        Segmenter(CONVERSATION, FRAME).push(np.zeros(320, np.int16), VOICE, VOICE)
