"""Revisions of an utterance only go up, and a draft is committed only if nothing was said since."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.audio import SAMPLE_RATE
from producer.shipping.drafts import Drafts, Name
from producer.speech.endpointing import Endpointing
from producer.speech.segmenter import Paused, Resumed, Segmenter, SpeechSegment

FRAME = SAMPLE_RATE // 100


def segment(start: int, end: int, *, continued: bool = False) -> SpeechSegment:
    return SpeechSegment(
        samples=np.zeros(end - start + 10, np.int16),
        start=start,
        end_of_speech=end,
        speech_samples=end - start,
        continued=continued,
        continues=False,
    )


@pytest.fixture
def drafts() -> Drafts:
    numbers = itertools.count(1)
    return Drafts(lambda: f"u{next(numbers)}")


def test_without_a_pause_an_utterance_goes_out_whole(drafts: Drafts) -> None:
    assert drafts.name_utterance(segment(0, 100)) == Name("u1", 1, final=True)
    assert drafts.name_utterance(segment(200, 300)) == Name("u2", 1, final=True)


def test_silence_confirmed_commits_the_draft(drafts: Drafts) -> None:
    assert drafts.open == ""
    assert drafts.name_draft(segment(0, 100)) == Name("u1", 1, final=False)
    assert drafts.open == "u1"
    assert drafts.name_utterance(segment(0, 100)) == Name("u1", 1, final=False)
    assert drafts.open == ""


def test_speech_resumed_makes_it_a_new_revision(drafts: Drafts) -> None:
    drafts.name_draft(segment(0, 100))
    drafts.mark_incomplete()
    assert drafts.name_draft(segment(0, 200)) == Name("u1", 2, final=False)
    drafts.mark_incomplete()
    assert drafts.open == "u1"
    assert drafts.name_utterance(segment(0, 300)) == Name("u1", 3, final=True)


def test_resumed_and_cut_in_the_pause_it_is_a_new_revision_all_the_same(drafts: Drafts) -> None:
    drafts.name_draft(segment(0, 100))
    drafts.mark_incomplete()
    assert drafts.name_utterance(segment(0, 100, continued=True)) == Name("u1", 2, final=True)
    assert drafts.name_utterance(segment(110, 300)) == Name("u2", 1, final=True)


def test_a_draft_that_was_never_ended_is_not_confused_with_the_next(drafts: Drafts) -> None:
    drafts.name_draft(segment(0, 100))
    assert drafts.name_draft(segment(500, 600)) == Name("u2", 1, final=False)
    assert drafts.name_utterance(segment(900, 950)) == Name("u3", 1, final=True)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=20))
def test_whatever_is_said(stretches: list[tuple[bool, int]]) -> None:
    endpointing = Endpointing(
        silence_s=0.4,
        min_speech_s=0.05,
        pre_roll_s=0.05,
        tail_s=0.1,
        max_utterance_s=1.0,
        start_speech_s=0.02,
        start_window_s=0.03,
        eager_pause_s=0.1,
    )
    segmenter = Segmenter(endpointing, FRAME)
    names = itertools.count()
    drafts = Drafts(lambda: str(next(names)))
    sent: dict[str, list[tuple[Name, SpeechSegment]]] = {}

    voiced = [flag for flag, count in stretches for _ in range(count)]
    frame = np.zeros(FRAME, np.int16)
    events = [event for flag in voiced for event in segmenter.push(frame, flag, flag)]
    events += segmenter.finish()
    for event in events:
        match event:
            case Paused():
                name, said = drafts.name_draft(event.segment), event.segment
            case SpeechSegment():
                name, said = drafts.name_utterance(event), event
            case Resumed():
                drafts.mark_incomplete()
                continue
            case _:
                continue
        sent.setdefault(name.id, []).append((name, said))

    ended: list[SpeechSegment] = []
    for revisions in sent.values():
        *before, (last, whole) = revisions
        assert len(before) <= endpointing.eager_max
        assert all(not name.final for name, _ in before)
        assert len({said.start for _, said in revisions}) == 1, "each id is one utterance"
        if last.final:
            assert [name.revision for name, _ in revisions] == [*range(1, len(revisions) + 1)]
        else:
            assert last == before[-1][0], "what is committed was offered"
            draft = before[-1][1]
            assert draft.end_of_speech == whole.end_of_speech
            assert draft.speech_samples == whole.speech_samples
        ended.append(whole)
    assert ended == [event for event in events if isinstance(event, SpeechSegment)]
