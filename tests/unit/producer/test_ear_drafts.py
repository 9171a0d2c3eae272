"""At a pause the ear offers a draft; what is kept in the end says what to do with it."""

from typing import Any

import pytest

from common.audio import SAMPLE_RATE
from producer.shipping.outbox import Outbox
from tests.support.ears import MakeEar, Post, kept
from tests.support.speech_script import SpeechScript, silence, speech


def test_a_pause_offers_a_draft_and_the_end_of_it_is_to_be_committed(
    outbox: Outbox, make: MakeEar
) -> None:
    post = Post(outbox)
    make(SpeechScript(silence(0.3), speech(1), silence(2)), realtime=True, draft_sender=post).hear()
    assert post.told == ["offer 1, 0 waiting", "withdraw, 0 waiting"]
    (draft,) = post.drafts
    (utterance,) = kept(outbox)
    assert not draft.utterance.final
    assert 100.0 - draft.spoken_at == pytest.approx(0.25, abs=0.031)
    assert (utterance.id, utterance.revision, utterance.final) == (draft.utterance.id, 1, False)
    assert utterance.speech_ms == draft.utterance.speech_ms
    assert utterance.hold_ms == pytest.approx(1_000, abs=31)
    assert utterance.samples - draft.utterance.samples < 0.1 * SAMPLE_RATE, "only of the tail"


def test_after_a_resumption_it_is_whole_and_final(outbox: Outbox, make: MakeEar) -> None:
    post = Post(outbox)
    make(
        SpeechScript(speech(1), silence(0.3), speech(1), silence(0.3), speech(1)),
        realtime=True,
        draft_sender=post,
    ).hear()
    assert post.told == ["offer 1, 0 waiting", "withdraw, 0 waiting", "withdraw, 0 waiting"]
    (utterance,) = kept(outbox)
    assert (utterance.id, utterance.revision, utterance.final) == (
        post.drafts[0].utterance.id,
        2,
        True,
    )
    assert utterance.samples > 3 * SAMPLE_RATE


@pytest.mark.parametrize(
    ("settings", "realtime", "wanted"),
    [
        ({}, True, 1),
        ({}, False, 0),
        ({"eager": "off"}, True, 0),
        ({"eager": "on"}, False, 1),
        ({"silence_s": 0.25}, True, 0),
        ({"eager_pause_s": 0.9}, True, 1),
        ({"eager_pause_s": 1.0}, True, 0),
    ],
)
def test_who_is_not_waited_for_is_not_transcribed_early(
    settings: dict[str, Any], realtime: bool, wanted: int, outbox: Outbox, make: MakeEar
) -> None:
    post = Post(outbox)
    make(
        SpeechScript(speech(1), silence(2)), realtime=realtime, draft_sender=post, **settings
    ).hear()
    assert len(post.drafts) == wanted
    assert [utterance.final for utterance in kept(outbox)] == [not wanted]


def test_no_more_drafts_than_may_be(outbox: Outbox, make: MakeEar) -> None:
    post = Post(outbox)
    parts = [part for _ in range(5) for part in (speech(1), silence(0.9))]
    make(SpeechScript(*parts), realtime=True, draft_sender=post, eager_max=2).hear()
    assert [draft.utterance.revision for draft in post.drafts] == [1, 2]
    (utterance,) = kept(outbox)
    assert (utterance.revision, utterance.final) == (3, True)


def test_signs_of_life_follow_the_audio_while_an_utterance_is_open(
    outbox: Outbox, make: MakeEar
) -> None:
    times = iter(range(10**6))
    post = Post(outbox)
    parts = silence(9), speech(1), silence(0.3), speech(1), silence(9)
    make(SpeechScript(*parts), realtime=True, draft_sender=post, clock=lambda: next(times)).hear()
    # 44 frames from the first draft to the second, 25 more to the end; two looks at the clock in
    # most of them
    assert 3 <= len(post.signs) <= 15
    assert set(post.signs) == {post.drafts[0].utterance.id}


def test_without_a_draft_there_is_nothing_to_keep_open(outbox: Outbox, make: MakeEar) -> None:
    times = iter(range(10**6))
    post = Post(outbox)
    make(
        SpeechScript(silence(9), speech(5)),
        realtime=True,
        draft_sender=post,
        clock=lambda: next(times),
    ).hear()
    assert post.signs == []


def test_the_revisions_of_an_utterance_belong_to_one_trace(outbox: Outbox, make: MakeEar) -> None:
    post = Post(outbox)
    source = SpeechScript(speech(1), silence(0.4), speech(1), silence(2))
    make(source, realtime=True, draft_sender=post).hear()
    (whole,) = kept(outbox)
    assert len(post.drafts) > 1
    assert {draft.utterance.traceparent for draft in post.drafts} == {whole.traceparent}
