"""The segmenter loses no speech and hands nothing out twice, whatever the detector says.

The properties compare it with a definition of speech that looks at the whole stream at once;
the examples pin what a person would notice: onsets, pauses, tails, clicks, long talk.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

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

FRAME = 160  # samples: 10 ms
FRAME_S = FRAME / SAMPLE_RATE
CONVERSATION = PRESETS["conversation"]


@dataclass(frozen=True)
class Run:
    stream: NDArray[np.int16]
    events: list[SegmentEvent]

    @property
    def segments(self) -> list[SpeechSegment]:
        return [event for event in self.events if isinstance(event, SpeechSegment)]

    @property
    def skipped(self) -> list[Skipped]:
        return [event for event in self.events if isinstance(event, Skipped)]


def cut(
    voiced: list[bool],
    endpointing: Endpointing,
    stream: NDArray[np.int16] | None = None,
    sure: list[bool] | None = None,
) -> Run:
    """Runs one frame per flag through a fresh segmenter, and ends the stream."""
    if stream is None:
        stream = np.resize(np.arange(30_011, dtype=np.int16), len(voiced) * FRAME)
    segmenter = Segmenter(endpointing, FRAME)
    events: list[SegmentEvent] = []
    for index, flag in enumerate(voiced):
        frame = stream[index * FRAME : (index + 1) * FRAME]
        events += segmenter.push(frame, flag, sure is None or sure[index])
    return Run(stream, events + segmenter.finish())


def flags(*stretches: tuple[bool, float]) -> list[bool]:
    """Stretches of (voiced, seconds) as one flag per frame."""
    return [voiced for voiced, seconds in stretches for _ in range(round(seconds / FRAME_S))]


VOICE, QUIET = True, False


# -- properties -------------------------------------------------------------------------------

_hundredths = st.integers(0, 40).map(lambda n: n / 100)


@st.composite
def endpointings(draw: st.DrawFn) -> Endpointing:
    window = draw(st.integers(1, 6)) / 100
    pre_roll = draw(_hundredths)
    min_speech = draw(_hundredths)
    silence = window + draw(_hundredths) + 0.02
    least = 2 * max(pre_roll + window, min_speech)
    return Endpointing(
        silence_s=silence,
        min_speech_s=min_speech,
        pre_roll_s=pre_roll,
        tail_s=draw(_hundredths),
        max_utterance_s=max(least, 0.1) + draw(st.integers(0, 100)) / 100,
        cut_window_s=draw(st.integers(1, 50)) / 100,
        start_speech_s=draw(st.integers(1, round(window * 100))) / 100,
        start_window_s=window,
        eager_pause_s=draw(st.sampled_from([None, 0.01, silence / 2])),
    )


_long_stretches = st.lists(st.tuples(st.booleans(), st.integers(1, 120)), max_size=12).map(
    lambda stretches: [voiced for voiced, count in stretches for _ in range(count)]
)
_flickering = st.lists(st.booleans(), max_size=300)
patterns = st.one_of(_long_stretches, _flickering)


def speech_frames(voiced: list[bool], endpointing: Endpointing) -> set[int]:
    """Voiced frames that lie in some window with enough voiced frames: the definition of speech."""
    window = round(endpointing.start_window_s / FRAME_S)
    enough = round(endpointing.start_speech_s / FRAME_S)
    found: set[int] = set()
    for end in range(1, len(voiced) + 1):
        inside = [index for index in range(max(0, end - window), end) if voiced[index]]
        if len(inside) >= enough:
            found.update(inside)
    return found


@given(patterns, endpointings())
def test_no_speech_frame_is_lost(voiced: list[bool], endpointing: Endpointing) -> None:
    run = cut(voiced, endpointing)
    kept = [(each.start, each.start + len(each.samples)) for each in run.segments]
    kept += [(each.start, each.end_of_speech) for each in run.skipped]
    for index in speech_frames(voiced, endpointing):
        start, end = index * FRAME, (index + 1) * FRAME
        assert any(first <= start and end <= last for first, last in kept)


@given(patterns, endpointings())
def test_utterances_are_slices_of_the_stream_in_order_without_overlap(
    voiced: list[bool], endpointing: Endpointing
) -> None:
    run = cut(voiced, endpointing)
    for segment in run.segments:
        end = segment.start + len(segment.samples)
        assert 0 <= segment.start < segment.end_of_speech <= end <= len(run.stream)
        assert np.array_equal(segment.samples, run.stream[segment.start : end])
    for before, after in itertools.pairwise(run.segments):
        assert before.start + len(before.samples) <= after.start


@given(patterns, endpointings())
def test_no_utterance_is_longer_than_the_maximum_or_too_short(
    voiced: list[bool], endpointing: Endpointing
) -> None:
    run = cut(voiced, endpointing)
    for segment in run.segments:
        assert 0 < len(segment.samples) <= endpointing.max_utterance_s * SAMPLE_RATE
        assert segment.speech_samples <= len(segment.samples)
        if not (segment.continued or segment.continues):
            assert segment.speech_samples >= endpointing.min_speech_s * SAMPLE_RATE
        if segment.continues and not segment.continued:
            assert segment.speech_samples > 0
    for skipped in run.skipped:
        assert 0 < skipped.speech_s < skipped.minimum_s == endpointing.min_speech_s


@given(patterns, endpointings())
def test_a_cut_utterance_goes_on_in_the_next_without_a_gap(
    voiced: list[bool], endpointing: Endpointing
) -> None:
    segments = cut(voiced, endpointing).segments
    assert not segments or not segments[-1].continued
    assert not segments or not segments[0].continues
    for before, after in itertools.pairwise(segments):
        assert before.continued == after.continues
        if before.continued:
            assert before.start + len(before.samples) == after.start


@given(patterns, endpointings())
def test_the_pre_roll_is_whole_unless_the_audio_was_handed_out_before(
    voiced: list[bool], endpointing: Endpointing
) -> None:
    shipped, onset = 0, 0
    pre_roll = round(endpointing.pre_roll_s / FRAME_S) * FRAME
    for event in cut(voiced, endpointing).events:
        if isinstance(event, SpeechStarted):
            onset = event.at
        elif isinstance(event, SpeechSegment):
            if not event.continues:
                assert event.start == max(0, shipped, onset - pre_roll)
            shipped = event.start + len(event.samples)


@given(patterns, endpointings())
def test_speech_is_measured_in_voiced_frames_from_the_onset_to_the_end_of_speech(
    voiced: list[bool], endpointing: Endpointing
) -> None:
    def count(start: int, end: int) -> int:
        return sum(voiced[start // FRAME : end // FRAME]) * FRAME

    onset = 0
    for event in cut(voiced, endpointing).events:
        if isinstance(event, SpeechStarted):
            onset = event.at
        elif isinstance(event, SpeechSegment):
            assert onset >= event.start or event.continues
            since = max(onset, event.start)
            assert event.speech_samples == count(since, event.end_of_speech)
        elif isinstance(event, Skipped):
            assert event.start == onset
            assert event.speech_s * SAMPLE_RATE == count(onset, event.end_of_speech)


@given(patterns, endpointings())
def test_silence_is_cut_off_after_the_tail(voiced: list[bool], endpointing: Endpointing) -> None:
    tail = round(min(endpointing.tail_s, endpointing.silence_s) / FRAME_S) * FRAME
    run = cut(voiced, endpointing)
    for segment in run.segments:
        if not segment.continued:
            left = segment.start + len(segment.samples) - segment.end_of_speech
            # less only where the stream ends, or where the utterance is as long as it may be
            room = endpointing.max_utterance_s * SAMPLE_RATE - len(segment.samples)
            end_of_stream = len(run.stream) - segment.end_of_speech
            assert left == tail or left == end_of_stream < tail or (left < tail and room < FRAME)


@given(patterns, endpointings())
def test_every_start_ends_and_every_pause_is_resolved(
    voiced: list[bool], endpointing: Endpointing
) -> None:
    is_open, pause = False, None
    for event in cut(voiced, endpointing).events:
        match event:
            case SpeechStarted():
                assert not is_open
                is_open = True
            case Paused():
                assert is_open
                assert pause is None
                pause = event.segment
            case Resumed():
                assert is_open
                assert pause is not None
                pause = None
            case SpeechSegment():
                assert is_open
                if pause is not None:
                    assert event.start == pause.start
                    assert event.end_of_speech == pause.end_of_speech
                    assert event.speech_samples == pause.speech_samples
                    pause = None
                is_open = event.continued
            case Skipped():
                assert is_open
                assert pause is None
                is_open = False
    assert not is_open


@given(patterns, endpointings())
def test_the_same_frames_always_give_the_same_events(
    voiced: list[bool], endpointing: Endpointing
) -> None:
    assert describe(cut(voiced, endpointing)) == describe(cut(voiced, endpointing))


def describe(run: Run) -> list[str]:
    # the generated repr shortens the samples; the slices' identity is a property above
    return [repr(event) for event in run.events]


@given(patterns, endpointings())
def test_eager_pauses_change_nothing_about_the_utterances(
    voiced: list[bool], endpointing: Endpointing
) -> None:
    values = {name: getattr(endpointing, name) for name in endpointing.__slots__}
    without = Endpointing(**{**values, "eager_pause_s": None})
    eager = [event for event in cut(voiced, endpointing).events if is_final(event)]
    plain = [event for event in cut(voiced, without).events if is_final(event)]
    assert [repr(event) for event in eager] == [repr(event) for event in plain]


def is_final(event: SegmentEvent) -> bool:
    return isinstance(event, SpeechSegment | Skipped)


# -- examples ---------------------------------------------------------------------------------


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
