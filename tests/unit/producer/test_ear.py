"""What is heard ends up in the outbox: whole, in order, with its age, whatever the source does."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from common.audio import SAMPLE_RATE, decode
from common.errors import BadInput
from common.settings import ListenSettings
from common.traceparent import begin_trace
from producer.ear import Ear
from producer.shipping.outbox import Outbox
from producer.sources.mute import MutableSource, Mute
from tests.support.ears import MakeEar, kept
from tests.support.metric_samples import growth, sample
from tests.support.speech_script import LoudnessDetector, SpeechScript, silence, speech


def test_each_utterance_is_kept_with_its_audio(outbox: Outbox, make: MakeEar) -> None:
    source = SpeechScript(silence(1), speech(1.2), silence(2), speech(2.4), silence(2))
    added: list[int] = []
    ear = make(source, added=lambda: added.append(len(outbox)))
    with capture_logs() as logs:
        ear.hear()
    assert [line["waiting"] for line in logs if line["event"] == "utterance_heard"] == [1, 2]
    assert ear.counts.utterances == 2
    assert added == [1, 2], "told after each of them, when it is safe"
    first, second = kept(outbox)
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


def test_the_codec_and_the_hints_are_the_settings(outbox: Outbox, make: MakeEar) -> None:
    make(
        SpeechScript(speech(1)), codec="pcm_s16le", language="de", persona="butler", interrupt="off"
    ).hear()
    (utterance,) = kept(outbox)
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
    interrupt: str, is_live: bool, wanted: bool, outbox: Outbox, make: MakeEar
) -> None:
    make(SpeechScript(speech(1), is_live=is_live), interrupt=interrupt).hear()
    assert [utterance.interrupt for utterance in kept(outbox)] == [wanted]


def test_a_short_noise_is_skipped_and_told(outbox: Outbox, make: MakeEar) -> None:
    ear = make(SpeechScript(silence(0.5), speech(0.39), silence(2)))
    with capture_logs() as logs:
        ear.hear()
    assert (ear.counts.utterances, ear.counts.skipped) == (0, 1)
    assert len(outbox) == 0
    assert "Skipped short segment (0.39s < 0.5s)" in [line["event"] for line in logs]


def test_what_is_hardly_speech_is_skipped_and_told(
    outbox: Outbox, make: MakeEar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoudnessDetector, "is_sure", False)
    ear = make(SpeechScript(silence(0.5), speech(1.5), silence(2)))
    with capture_logs() as logs:
        ear.hear()
    assert (ear.counts.utterances, ear.counts.skipped, len(outbox)) == (0, 1, 0)
    told = "Skipped doubtful segment (1.50s that were hardly speech)"
    assert told in [line["event"] for line in logs]


def test_what_is_being_said_at_the_end_is_kept(outbox: Outbox, make: MakeEar) -> None:
    make(SpeechScript(silence(0.3), speech(1))).hear()
    assert len(outbox) == 1


def test_what_came_before_a_damage_is_kept(outbox: Outbox, make: MakeEar) -> None:
    with pytest.raises(BadInput, match="damaged"):
        make(SpeechScript(speech(1), failure=BadInput("x.wav is damaged after 1.0 s"))).hear()
    assert len(outbox) == 1


def test_at_the_speed_of_speech_the_age_counts_from_the_end_of_speech(
    outbox: Outbox, make: MakeEar
) -> None:
    parts = silence(0.3), speech(1), silence(2)
    make(SpeechScript(*parts), realtime=True).hear()
    (utterance,) = kept(outbox)
    assert utterance.hold_ms == pytest.approx(1_000, abs=31), "the silence that ended it"
    make(SpeechScript(*parts), realtime=False).hear()
    (utterance,) = kept(outbox)
    assert utterance.hold_ms == 0, "a file runs faster than speech"


def test_long_speech_is_cut_and_marked(outbox: Outbox, make: MakeEar) -> None:
    make(SpeechScript(speech(5)), max_utterance_s=2).hear()
    parts = [utterance.continued for utterance in kept(outbox)]
    assert len(parts) >= 3
    assert parts == [True] * (len(parts) - 1) + [False]


@pytest.mark.parametrize("name", ["a\nb.wav", "\udcff.wav", "x" * 300, "\x1b[2J"])
def test_a_strange_name_does_not_stop_it(name: str, outbox: Outbox, make: MakeEar) -> None:
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
            added=lambda: None,
        )
        with capture_logs() as logs:
            ear.hear()
    dropped = [line for line in logs if line["event"] == "outbox_dropped_oldest"]
    assert [(line["log_level"], line["count"]) for line in dropped] == [("error", 1)]


def test_an_utterance_begins_a_trace_with_its_length_and_the_silence_that_ended_it(
    outbox: Outbox, make: MakeEar
) -> None:
    make(SpeechScript(silence(1), speech(1.2), silence(1.5)), realtime=True).hear()
    make(SpeechScript(silence(1), speech(1.2), silence(1.5))).hear()
    realtime, fast = kept(outbox)
    for utterance in (realtime, fast):
        assert utterance.traceparent == begin_trace(utterance.id)
        assert utterance.length_ms == pytest.approx(1_200 + 300, abs=60), "with the pre-roll"
    assert realtime.silence_ms == pytest.approx(1_000, abs=30)
    assert fast.silence_ms == 0, "nobody waited"


def test_that_somebody_speaks_can_be_seen(outbox: Outbox, make: MakeEar) -> None:
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


def test_to_mute_is_to_be_done(make: MakeEar, outbox: Outbox) -> None:
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
    assert [one.speech_ms for one in kept(outbox)] == [600]


def test_a_mute_at_any_moment_ends_what_is_said(make: MakeEar, outbox: Outbox) -> None:
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


def test_with_a_key_one_word_is_enough(make: MakeEar, outbox: Outbox) -> None:
    make(SpeechScript(speech(0.39), silence(2)), push_to_talk=True).hear()
    make(SpeechScript(speech(0.39), silence(2))).hear()
    make(SpeechScript(speech(0.39), silence(2)), push_to_talk=True, min_speech_s=0.5).hear()
    assert len(kept(outbox)) == 1
