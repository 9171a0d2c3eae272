"""The segmenter loses no speech and hands nothing out twice, whatever the detector says.

The properties compare it with a definition of speech that looks at the whole stream at once.
"""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.audio import SAMPLE_RATE
from producer.speech.endpointing import Endpointing
from producer.speech.segmenter import (
    Paused,
    Resumed,
    Skipped,
    SpeechSegment,
    SpeechStarted,
)
from tests.support.segmenting import (
    FRAME,
    FRAME_S,
    Run,
    cut,
    is_final,
)

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
