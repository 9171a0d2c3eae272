"""What is heard ends up in the outbox: whole, in order, with its age, whatever the source does."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from common.audio import SAMPLE_RATE, decode
from common.errors import BadInput
from common.settings import ListenSettings
from common.traceparent import begin_trace
from common.utterance import Utterance
from producer.ear import Ear
from producer.shipping.drafts import Draft, DraftSender
from producer.shipping.outbox import Outbox
from producer.sources.mute import MutableSource, Mute
from producer.sources.source import Source
from tests.support.metric_samples import growth, sample
from tests.support.speech_script import LoudnessDetector, SpeechScript, silence, speech


def _nobody() -> None:
    """Nobody wants to be told."""


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path, "s1", max_bytes=10**7, max_age_s=60, monotonic=lambda: 5.0) as outbox:
        yield outbox


Make = Callable[..., Ear]


@pytest.fixture
def make(outbox: Outbox) -> Make:
    def made(
        source: Source,
        *,
        realtime: bool = False,
        added: Callable[[], None] = _nobody,
        draft_sender: DraftSender | None = None,
        clock: Callable[[], float] = lambda: 100.0,
        **settings: Any,
    ) -> Ear:
        return Ear(
            source,
            LoudnessDetector(),
            ListenSettings(vad="webrtc", **settings),
            outbox,
            session="s1",
            realtime=realtime,
            added=added,
            draft_sender=draft_sender,
            sign_s=10,
            clock=clock,
        )

    return made


class Post:
    """Notes what it is told; `outbox` is looked into each time."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.told: list[str] = []
        self.drafts: list[Draft] = []
        self.signs: list[str] = []

    def offer(self, draft: Draft) -> None:
        self.told.append(f"offer {draft.utterance.revision}, {len(self._outbox)} waiting")
        self.drafts.append(draft)

    def withdraw(self) -> None:
        self.told.append(f"withdraw, {len(self._outbox)} waiting")

    def report_ongoing_speech(self, session: str, utterance: str) -> None:
        assert session == "s1"
        self.signs.append(utterance)


def _kept(outbox: Outbox) -> list[Utterance]:
    kept = []
    while (waiting := outbox.first()) is not None:
        kept.append(waiting.utterance)
        outbox.forget(waiting.place)
    return kept


def test_each_utterance_is_kept_with_its_audio(outbox: Outbox, make: Make) -> None:
    source = SpeechScript(silence(1), speech(1.2), silence(2), speech(2.4), silence(2))
    added: list[int] = []
    ear = make(source, added=lambda: added.append(len(outbox)))
    with capture_logs() as logs:
        ear.hear()
    assert [line["waiting"] for line in logs if line["event"] == "utterance_heard"] == [1, 2]
    assert ear.counts.utterances == 2
    assert added == [1, 2], "told after each of them, when it is safe"
    first, second = _kept(outbox)
    assert (first.session, first.codec, first.rate, first.source) == (
        "s1",
        "flac",
        16_000,
        "script",
    )
    assert first.id != second.id
    for utterance, spoken_s in ((first, 1.2), (second, 2.4)):
        assert utterance.speech_ms == pytest.approx(spoken_s * 1000, abs=30)
        audio = decode(utterance.audio, "flac", 16_000, utterance.samples, max_samples=10**6)
        loud = np.count_nonzero(audio)
        assert loud / SAMPLE_RATE == pytest.approx(spoken_s, abs=0.03)
        assert utterance.samples / SAMPLE_RATE == pytest.approx(spoken_s + 0.3 + 0.3, abs=0.1)


def test_the_codec_and_the_hints_are_the_settings(outbox: Outbox, make: Make) -> None:
    make(
        SpeechScript(speech(1)), codec="pcm_s16le", language="de", persona="butler", interrupt="off"
    ).hear()
    (utterance,) = _kept(outbox)
    assert utterance.codec == "pcm_s16le"
    assert len(utterance.audio) == 2 * utterance.samples
    assert (utterance.language, utterance.persona, utterance.interrupt) == ("de", "butler", False)


@pytest.mark.parametrize(
    ("interrupt", "is_live", "wanted"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("off", True, False),
        ("new_turn", False, True),
    ],
)
def test_who_speaks_live_interrupts(
    interrupt: str, is_live: bool, wanted: bool, outbox: Outbox, make: Make
) -> None:
    make(SpeechScript(speech(1), is_live=is_live), interrupt=interrupt).hear()
    assert [utterance.interrupt for utterance in _kept(outbox)] == [wanted]


def test_a_short_noise_is_skipped_and_told(outbox: Outbox, make: Make) -> None:
    ear = make(SpeechScript(silence(0.5), speech(0.39), silence(2)))
    with capture_logs() as logs:
        ear.hear()
    assert (ear.counts.utterances, ear.counts.skipped) == (0, 1)
    assert len(outbox) == 0
    assert "Skipped short segment (0.39s < 0.5s)" in [line["event"] for line in logs]


def test_what_is_hardly_speech_is_skipped_and_told(
    outbox: Outbox, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoudnessDetector, "is_sure", False)
    ear = make(SpeechScript(silence(0.5), speech(1.5), silence(2)))
    with capture_logs() as logs:
        ear.hear()
    assert (ear.counts.utterances, ear.counts.skipped, len(outbox)) == (0, 1, 0)
    told = "Skipped doubtful segment (1.50s that were hardly speech)"
    assert told in [line["event"] for line in logs]


def test_what_is_being_said_at_the_end_is_kept(outbox: Outbox, make: Make) -> None:
    make(SpeechScript(silence(0.3), speech(1))).hear()
    assert len(outbox) == 1


def test_what_came_before_a_damage_is_kept(outbox: Outbox, make: Make) -> None:
    with pytest.raises(BadInput, match="damaged"):
        make(SpeechScript(speech(1), failure=BadInput("x.wav is damaged after 1.0 s"))).hear()
    assert len(outbox) == 1


def test_at_the_speed_of_speech_the_age_counts_from_the_end_of_speech(
    outbox: Outbox, make: Make
) -> None:
    parts = silence(0.3), speech(1), silence(2)
    make(SpeechScript(*parts), realtime=True).hear()
    (utterance,) = _kept(outbox)
    assert utterance.hold_ms == pytest.approx(1_000, abs=31), "the silence that ended it"
    make(SpeechScript(*parts), realtime=False).hear()
    (utterance,) = _kept(outbox)
    assert utterance.hold_ms == 0, "a file runs faster than speech"


def test_long_speech_is_cut_and_marked(outbox: Outbox, make: Make) -> None:
    make(SpeechScript(speech(5)), max_utterance_s=2).hear()
    kept = _kept(outbox)
    assert len(kept) >= 3
    assert [utterance.continued for utterance in kept] == [True] * (len(kept) - 1) + [False]


@pytest.mark.parametrize("name", ["a\nb.wav", "\udcff.wav", "x" * 300, "\x1b[2J"])
def test_a_strange_name_does_not_stop_it(name: str, outbox: Outbox, make: Make) -> None:
    source = SpeechScript(speech(1))
    source.name = name
    make(source).hear()
    assert len(outbox) == 1


def test_what_had_to_go_is_told(tmp_path: Path) -> None:
    with Outbox(tmp_path, "small", max_bytes=100, max_age_s=60) as outbox:
        ear = Ear(
            SpeechScript(speech(1), silence(2)),
            LoudnessDetector(),
            ListenSettings(codec="pcm_s16le"),
            outbox,
            session="s1",
            realtime=False,
            added=_nobody,
        )
        with capture_logs() as logs:
            ear.hear()
    dropped = [line for line in logs if line["event"] == "outbox_dropped_oldest"]
    assert [(line["log_level"], line["count"]) for line in dropped] == [("error", 1)]


# -- drafts


def test_a_pause_offers_a_draft_and_the_end_of_it_is_to_be_committed(
    outbox: Outbox, make: Make
) -> None:
    post = Post(outbox)
    make(SpeechScript(silence(0.3), speech(1), silence(2)), realtime=True, draft_sender=post).hear()
    assert post.told == ["offer 1, 0 waiting", "withdraw, 0 waiting"]
    (draft,) = post.drafts
    (utterance,) = _kept(outbox)
    assert not draft.utterance.final
    assert 100.0 - draft.spoken_at == pytest.approx(0.25, abs=0.031)
    assert (utterance.id, utterance.revision, utterance.final) == (draft.utterance.id, 1, False)
    assert utterance.speech_ms == draft.utterance.speech_ms
    assert utterance.hold_ms == pytest.approx(1_000, abs=31)
    assert utterance.samples - draft.utterance.samples < 0.1 * SAMPLE_RATE, "only of the tail"


def test_after_a_resumption_it_is_whole_and_final(outbox: Outbox, make: Make) -> None:
    post = Post(outbox)
    make(
        SpeechScript(speech(1), silence(0.3), speech(1), silence(0.3), speech(1)),
        realtime=True,
        draft_sender=post,
    ).hear()
    assert post.told == ["offer 1, 0 waiting", "withdraw, 0 waiting", "withdraw, 0 waiting"]
    (utterance,) = _kept(outbox)
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
    settings: dict[str, Any], realtime: bool, wanted: int, outbox: Outbox, make: Make
) -> None:
    post = Post(outbox)
    make(
        SpeechScript(speech(1), silence(2)), realtime=realtime, draft_sender=post, **settings
    ).hear()
    assert len(post.drafts) == wanted
    assert [utterance.final for utterance in _kept(outbox)] == [not wanted]


def test_no_more_drafts_than_may_be(outbox: Outbox, make: Make) -> None:
    post = Post(outbox)
    parts = [part for _ in range(5) for part in (speech(1), silence(0.9))]
    make(SpeechScript(*parts), realtime=True, draft_sender=post, eager_max=2).hear()
    assert [draft.utterance.revision for draft in post.drafts] == [1, 2]
    (utterance,) = _kept(outbox)
    assert (utterance.revision, utterance.final) == (3, True)


def test_signs_of_life_follow_the_audio_while_an_utterance_is_open(
    outbox: Outbox, make: Make
) -> None:
    times = iter(range(10**6))
    post = Post(outbox)
    parts = silence(9), speech(1), silence(0.3), speech(1), silence(9)
    make(SpeechScript(*parts), realtime=True, draft_sender=post, clock=lambda: next(times)).hear()
    # 44 frames from the first draft to the second, 25 more to the end; two looks at the clock in
    # most of them
    assert 3 <= len(post.signs) <= 15
    assert set(post.signs) == {post.drafts[0].utterance.id}


def test_without_a_draft_there_is_nothing_to_keep_open(outbox: Outbox, make: Make) -> None:
    times = iter(range(10**6))
    post = Post(outbox)
    make(
        SpeechScript(silence(9), speech(5)),
        realtime=True,
        draft_sender=post,
        clock=lambda: next(times),
    ).hear()
    assert post.signs == []


def test_an_utterance_begins_a_trace_with_its_length_and_the_silence_that_ended_it(
    outbox: Outbox, make: Make
) -> None:
    make(SpeechScript(silence(1), speech(1.2), silence(1.5)), realtime=True).hear()
    make(SpeechScript(silence(1), speech(1.2), silence(1.5))).hear()
    realtime, fast = _kept(outbox)
    for utterance in (realtime, fast):
        assert utterance.traceparent == begin_trace(utterance.id)
        assert utterance.length_ms == pytest.approx(1_200 + 300, abs=60), "with the pre-roll"
    assert realtime.silence_ms == pytest.approx(1_000, abs=30)
    assert fast.silence_ms == 0, "nobody waited"


def test_the_revisions_of_an_utterance_belong_to_one_trace(outbox: Outbox, make: Make) -> None:
    post = Post(outbox)
    source = SpeechScript(speech(1), silence(0.4), speech(1), silence(2))
    make(source, realtime=True, draft_sender=post).hear()
    (whole,) = _kept(outbox)
    assert len(post.drafts) > 1
    assert {draft.utterance.traceparent for draft in post.drafts} == {whole.traceparent}


def test_that_somebody_speaks_can_be_seen(outbox: Outbox, make: Make) -> None:
    seen: list[float] = []

    class Looking(SpeechScript):
        def __iter__(self) -> Iterator[NDArray[np.int16]]:
            for frame in super().__iter__():
                yield frame
                seen.append(sample("earshot_speech_active"))

    skipped = growth("earshot_skips_total", reason="too_short")
    make(Looking(silence(1), speech(1), silence(1.5), speech(0.3), silence(1.5))).hear()
    changes = [now for before, now in zip([0.0, *seen], seen, strict=False) if now != before]
    assert changes == [1, 0, 1, 0]
    assert skipped() == 1


def test_to_mute_is_to_be_done(make: Make, outbox: Outbox) -> None:
    mute = Mute()
    waiting: list[int] = []

    class Speaker(SpeechScript):
        def __iter__(self) -> Iterator[NDArray[np.int16]]:
            for number, frame in enumerate(super().__iter__()):
                if number in (20, 22, 30):  # after 0.6 s of speech; then in the silence
                    mute.toggle()
                waiting.append(len(outbox))
                yield frame

    source = MutableSource(Speaker(speech(0.6), silence(0.9), speech(0.9)), mute)
    make(source, push_to_talk=True).hear()
    assert waiting[20:22] == [0, 1], "no silence is waited for"
    assert [one.speech_ms for one in _kept(outbox)] == [600]


def test_a_mute_at_any_moment_ends_what_is_said(make: Make, outbox: Outbox) -> None:
    waiting: list[int] = []

    class Speaker(SpeechScript):
        def __iter__(self) -> Iterator[NDArray[np.int16]]:
            for frame in super().__iter__():
                waiting.append(len(outbox))
                yield frame

    class Muted(MutableSource):
        """Muted in the course of one frame, whenever in it that is asked."""

        asked = 0

        @property
        def is_muted(self) -> bool:
            self.asked += 1
            return self.asked >= 22

    make(Muted(Speaker(speech(0.6), silence(0.9)), Mute()), push_to_talk=True).hear()
    assert 1 in waiting, "no silence is waited for"


def test_with_a_key_one_word_is_enough(make: Make, outbox: Outbox) -> None:
    make(SpeechScript(speech(0.39), silence(2)), push_to_talk=True).hear()
    make(SpeechScript(speech(0.39), silence(2))).hear()
    make(SpeechScript(speech(0.39), silence(2)), push_to_talk=True, min_speech_s=0.5).hear()
    assert len(_kept(outbox)) == 1
