"""Whatever a recording does to its decoder, the process that reads it goes on: it gets what was
decoded before, and one sentence that names the file and the reason."""

import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from common.errors import BadInput, Transient
from producer.decoding import decoder_process
from producer.decoding.limits import MEMORY_MB
from producer.sources.audio_file import AudioFileSource


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder of a recording does what the recording's name says."""
    monkeypatch.setattr(decoder_process, "_MODULE", "tests.integration.recordings.hostile_decoder")
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", str(root))  # the tests are not installed


def recording(folder: Path, what: str) -> Path:
    path = folder / f"{what}.wav"
    soundfile.write(path, np.ones(16_000, np.int16), 16_000)
    return path


def read(path: Path) -> tuple[list[NDArray[np.int16]], str]:
    """What was decoded, and why not more."""
    frames: list[NDArray[np.int16]] = []
    try:
        with AudioFileSource(path, 10) as source:
            frames.extend(source)
    except BadInput as error:
        return frames, str(error)
    return frames, ""


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("dies", "cannot be decoded after 1.0 s: it made its decoder crash with SIGSEGV"),
        ("aborts", "cannot be decoded after 1.0 s: it made its decoder crash with SIGABRT"),
        ("is-killed", "after 1.0 s: its decoder was killed, perhaps because the host is out of"),
        ("leaves", "cannot be decoded after 1.0 s: its decoder ended with the status 0"),
        ("leaves-in-a-message", "after 1.0 s: its decoder ended with the status 0"),
        ("takes-all-memory", "after 1.0 s: its decoder ended with the status 1"),
        ("talks-nonsense", "after 1.0 s: its decoder answers nonsense"),
        ("says-half-a-sample", "after 1.0 s: its decoder answers nonsense"),
        ("says-too-much", "after 1.0 s: its decoder answers nonsense"),
        ("writes-files", "after 1.0 s: its decoder ended with the status 1"),
    ],
)
@pytest.mark.usefixtures("hostile")
def test_a_decoder_that_fails_is_one_sentence_after_what_it_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = recording(tmp_path, what)
    frames, why = read(path)
    assert len(frames) == 100
    assert why.startswith(str(path))
    assert sentence in why
    assert why.endswith("; what came before was used")
    assert not (tmp_path / "written").exists() or not (tmp_path / "written").stat().st_size


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("dies-at-once", "cannot be decoded: it made its decoder crash with SIGSEGV"),
        ("leaves-at-once", "cannot be decoded: its decoder ended with the status 3"),
        ("begins-with-audio", "cannot be decoded: its decoder answers nonsense"),
        ("needs-too-much", "cannot be decoded: it needs more than 512 MB of memory"),
        ("surprises", "cannot be decoded (IndexError: list index out of range)"),
    ],
)
@pytest.mark.usefixtures("hostile")
def test_a_decoder_that_fails_at_once_refuses_the_file(
    tmp_path: Path, what: str, sentence: str
) -> None:
    path = recording(tmp_path, what)
    assert read(path) == ([], f"{path} {sentence}")


@pytest.mark.parametrize("what", ["hangs", "hangs-at-once", "works-for-ever"])
@pytest.mark.usefixtures("hostile")
def test_a_decoder_that_delivers_no_more_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(decoder_process, "PATIENCE_S", 3.0)
    _, why = read(recording(tmp_path, what))
    assert "decoding it takes too long" in why


@pytest.mark.usefixtures("hostile")
def test_it_is_given_up_for_its_cpu_time_even_when_nobody_waits(tmp_path: Path) -> None:
    with AudioFileSource(recording(tmp_path, "works-for-ever")) as source:
        assert source.decoder_pid is not None
        soft, hard = resource.prlimit(source.decoder_pid, resource.RLIMIT_CPU)
        assert soft == 60
        resource.prlimit(source.decoder_pid, resource.RLIMIT_CPU, (1, hard))
        with pytest.raises(BadInput, match=r"after 1\.0 s: decoding it takes too long; what came"):
            list(source)


@pytest.mark.usefixtures("hostile")
def test_what_a_decoder_says_reaches_the_terminal_as_one_short_line(tmp_path: Path) -> None:
    _, why = read(recording(tmp_path, "colours-its-refusal"))
    assert why.startswith("it is\N{REPLACEMENT CHARACTER}[31m red\N{REPLACEMENT CHARACTER}and")
    assert len(why) <= 2_000


@pytest.mark.usefixtures("hostile")
def test_a_length_that_is_no_number_is_an_unknown_length(tmp_path: Path) -> None:
    with AudioFileSource(recording(tmp_path, "has-no-end-of-length")) as source:
        assert source.duration_s == 0
        assert len(list(source)) == 34


def test_a_decoder_has_less_memory_than_it_may_want_and_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSHOT_REDIS__PASSWORD", "of-the-producer")
    path = tmp_path / "minutes.wav"
    soundfile.write(path, np.zeros(600 * 16_000, np.int16), 16_000)
    with AudioFileSource(path) as source:
        assert source.decoder_pid is not None
        limits = {
            kind: resource.prlimit(source.decoder_pid, kind)
            for kind in (resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)
        }
        variables = Path(f"/proc/{source.decoder_pid}/environ").read_bytes()
        score = Path(f"/proc/{source.decoder_pid}/oom_score_adj").read_text().strip()
    most = MEMORY_MB * 2**20
    assert limits == {
        resource.RLIMIT_DATA: (most, most),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
    }
    assert b"PATH=" in variables
    assert b"of-the-producer" not in variables
    assert score == "1000"


def test_a_recording_that_was_refused_may_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "growing.wav"
    source = AudioFileSource(path, 10)
    for content in (b"", b"RIFF"):
        path.write_bytes(content)
        with pytest.raises(BadInput):
            source.__enter__()
    soundfile.write(path, np.ones(16_000, np.int16), 16_000)
    with source:
        frames = iter(source)
        next(frames)
    assert len(list(frames)) < 100, "after its end it just ends"


def test_a_host_that_starts_no_process_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recording(tmp_path, "good")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(Transient, match=r"good\.wav cannot be decoded now: no process can be"):
        AudioFileSource(path).__enter__()


DASH = (
    '<?xml version="1.0"?><MPD type="static"><Period><AdaptationSet><Representation id="1" '
    'bandwidth="1" mimeType="audio/mpeg"><BaseURL>other.mp3</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{other}\n#EXT-X-ENDLIST\n"),
        ("near.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.mp3\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile other.mp3\n"),
        ("list.wav", "ffconcat version 1.0\nfile other.mp3\n"),
        ("set.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n"),
        ("list.mpd", DASH),
    ],
)
def test_a_playlist_reads_no_other_file_of_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other.mp3"
    soundfile.write(other, np.random.default_rng(0).normal(0, 0.1, 32_000), 16_000)
    (tmp_path / name).write_text(text.format(other=other))
    frames, why = read(tmp_path / name)
    assert frames == []
    assert f"{name} is no audio that can be read here" in why
