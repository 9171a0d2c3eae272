"""A recording is cut where live speech would be, at the same places each time, damage or not."""

from pathlib import Path

import numpy as np
import soundfile

from common.audio import SAMPLE_RATE, decode
from common.settings import ListenSettings
from producer.recording import RecordingCutter, utterance_of
from producer.sources.audio_file import AudioFileSource
from producer.speech.segmenter import SpeechSegment
from tests.support.speechlike import room_noise, speechlike

SETTINGS = ListenSettings(vad="webrtc")
SAID_AT_S = (2.0, 6.0)


def write(path: Path) -> None:
    quiet, said = room_noise(2.0), speechlike(2.0)
    soundfile.write(path, np.concatenate([quiet, said, quiet, said, quiet]), SAMPLE_RATE)


def cut(path: Path) -> tuple[list[SpeechSegment], RecordingCutter]:
    with AudioFileSource(path) as source:
        cutting = RecordingCutter(source, SETTINGS)
        return list(cutting), cutting


def test_each_thing_said_is_a_segment_at_its_place(tmp_path: Path) -> None:
    write(tmp_path / "talk.wav")
    segments, cutting = cut(tmp_path / "talk.wav")
    assert cutting.position_s == 10
    assert not cutting.damage
    for segment, said_s in zip(segments, SAID_AT_S, strict=True):
        assert said_s - 0.5 <= segment.start / SAMPLE_RATE <= said_s
        assert segment.end_of_speech / SAMPLE_RATE >= said_s + 1.9
    again, _ = cut(tmp_path / "talk.wav")
    assert [(one.start, len(one.samples)) for one in again] == [
        (one.start, len(one.samples)) for one in segments
    ]


def test_a_damaged_recording_is_cut_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "talk.flac"
    write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    segments, cutting = cut(path)
    assert len(segments) >= 1
    assert "talk.flac is damaged after" in cutting.damage


def test_what_is_sent_wants_a_transcript_and_no_answer(tmp_path: Path) -> None:
    write(tmp_path / "talk.wav")
    (segment, _), _ = cut(tmp_path / "talk.wav")
    settings = SETTINGS.model_copy(update={"language": "en"})
    sent = utterance_of(segment, settings, utterance="u", session="s", source="talk\n.wav")
    assert (sent.id, sent.session, sent.language, sent.source) == ("u", "s", "en", "talk?.wav")
    assert not sent.answer
    assert not sent.interrupt
    heard = decode(sent.audio, sent.codec, sent.rate, sent.samples, max_samples=10**6)
    assert np.array_equal(heard, segment.samples)
