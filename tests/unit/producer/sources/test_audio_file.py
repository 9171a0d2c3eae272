"""Any recording that libsndfile reads comes out as 16 kHz mono frames, whole and in tune; anything
else is refused with one sentence that names the file."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.errors import BadInput
from producer.sources.audio_file import AudioFileSource
from tests.support.waiting import until_sync

SECONDS = 2.5


def tone(frequency: float, rate: int, seconds: float = SECONDS) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def read(path: Path, frame_ms: int = 30) -> tuple[NDArray[np.int16], int]:
    """All frames in one piece, and the true count of samples."""
    with AudioFileSource(path, frame_ms) as source:
        frames = list(source)
        assert all(frame.shape == (source.frame_samples,) for frame in frames)
        assert all(frame.dtype == np.int16 for frame in frames)
        return np.concatenate(frames), source.samples


def strongest_frequency(audio: NDArray[np.int16]) -> float:
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / len(audio)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1), (8_000, 1), (16_000, 2)])
def test_any_format_rate_and_channels_come_out_whole_and_in_tune(
    tmp_path: Path, kind: str, rate: int, channels: int
) -> None:
    path = tmp_path / f"tone.{kind}"
    soundfile.write(path, np.stack([tone(440, rate)] * channels, axis=1), rate)
    audio, samples = read(path)
    slack = 2_500 if kind == "mp3" else 2  # MP3 pads to whole frames of its own
    assert abs(samples - SECONDS * SAMPLE_RATE) <= slack
    assert len(audio) - samples in range(480)
    middle = audio[SAMPLE_RATE // 2 : 2 * SAMPLE_RATE]
    assert strongest_frequency(middle) == pytest.approx(440, abs=1)
    loudness = np.sqrt(np.mean(np.square(middle, dtype=np.float64)))
    assert loudness == pytest.approx(0.5 * 32_768 / np.sqrt(2), rel=0.03)


def test_16_khz_mono_passes_unchanged_and_the_tail_is_padded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-32_768, 32_767, 40_001).astype(np.int16)
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise, SAMPLE_RATE)
    audio, samples = read(path)
    assert samples == len(noise)
    assert np.array_equal(audio[: len(noise)], noise)
    assert not audio[len(noise) :].any()


def test_resampling_leaves_no_seams_between_blocks(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(1_000, 44_100, 5), 44_100, subtype="FLOAT")
    audio, _ = read(path)
    expected = np.rint(32_768 * tone(1_000, SAMPLE_RATE, 5))
    inner = slice(1_000, 5 * SAMPLE_RATE - 1_000)  # away from the filter's edges
    assert np.abs(audio[inner] - expected[inner]).max() <= 8


def test_decoding_a_lossy_format_leaves_no_seams_between_blocks(tmp_path: Path) -> None:
    path = tmp_path / "tone.mp3"
    soundfile.write(path, tone(440, SAMPLE_RATE, 5), SAMPLE_RATE)
    audio, samples = read(path)
    in_one_piece, _ = soundfile.read(path, dtype="float32")
    difference = audio[:samples] - np.clip(32_768 * in_one_piece, -32_768, 32_767)
    assert np.abs(difference).max() <= 1


def test_what_16_khz_cannot_carry_is_filtered_out_and_not_folded_back(tmp_path: Path) -> None:
    path = tmp_path / "whistle.wav"
    soundfile.write(path, tone(10_000, 44_100), 44_100)
    audio, _ = read(path)
    assert np.abs(audio[1_000:-1_000]).max() < 10


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    stereo = np.stack([np.full(1_600, 0.5), np.full(1_600, -0.25)], axis=1)
    soundfile.write(path, stereo, SAMPLE_RATE, subtype="FLOAT")
    audio, _ = read(path)
    assert set(audio[:1_600]) == {4_096}


def test_floats_beyond_full_scale_are_clipped_and_no_number_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    values = np.array([2.0, -2.0, np.nan, 0.5], np.float32)
    soundfile.write(path, values, SAMPLE_RATE, subtype="FLOAT")
    audio, _ = read(path)
    assert audio[:4].tolist() == [32_767, -32_768, 0, 16_384]


def test_a_long_recording_is_read_as_fast_as_its_frames_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 8_000, 1) as file:
        for _ in range(10 * 60):
            file.write(np.zeros(8_000, np.int16))
    with AudioFileSource(path) as source:
        assert source.duration_s == 600
        next(iter(source))
        until_sync(lambda: status_of(source.decoder_pid, "State"), lambda state: state[0] == "S")
        position = int(Path(f"/proc/{source.decoder_pid}/fdinfo/0").read_text().split()[1])
        assert position < 10 * 16_000, "bytes of ten seconds"


def status_of(pid: int | None, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(field))


def test_realtime_keeps_the_speed_of_speech(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(440, SAMPLE_RATE), SAMPLE_RATE)
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with AudioFileSource(path, realtime=True, clock=lambda: now[0], sleep=sleep) as source:
        times = [now[0] for _ in source]
    assert times == pytest.approx([0.03 * (index + 1) for index in range(len(times))])


@pytest.mark.parametrize("realtime", [False, True])
def test_closing_from_another_thread_ends_the_iteration(tmp_path: Path, realtime: bool) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(3_600 * 8_000, np.int16), 8_000)
    with AudioFileSource(path, realtime=realtime) as source:
        first_heard = threading.Event()
        heard = []

        def hear() -> None:
            for frame in source:
                heard.append(len(frame))
                first_heard.set()

        hearing = threading.Thread(target=hear)
        hearing.start()
        assert first_heard.wait(10)
        source.close()
        hearing.join(10)
        assert not hearing.is_alive()
    assert sum(heard) < 3_600 * SAMPLE_RATE


def test_what_it_is_called(tmp_path: Path) -> None:
    source = AudioFileSource(tmp_path / "some talk.wav")
    assert (source.name, source.is_live, source.samples) == ("some talk.wav", False, 0)


def write_text(path: Path) -> None:
    path.write_text("This is no audio.\n" * 100)


def write_nothing(path: Path) -> None:
    path.touch()


def write_header_only(path: Path) -> None:
    soundfile.write(path, np.zeros(0, np.int16), SAMPLE_RATE, format="WAV")


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_nothing(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("talk.wav", make_nothing, "there is no file .*talk.wav; check its name"),
        ("t" * 300, make_nothing, "ttt cannot be read: File name too long"),
        ("talk", make_folder, "talk is a folder; name one audio file in it"),
        ("notes.txt", write_text, "notes.txt is no audio that can be read here; convert it"),
        ("notes.wav", write_text, "notes.wav is no audio that can be read here"),
        ("samples.raw", write_text, "samples.raw is no audio that can be read here"),
        ("talk.wav", write_nothing, "talk.wav is empty"),
        ("talk.wav", write_header_only, "talk.wav has a header, but holds no audio"),
        ("pipe.wav", make_pipe, "pipe.wav is not a regular file; pipe raw samples into"),
    ],
)
def test_what_is_no_recording_is_refused(
    tmp_path: Path, name: str, make: Callable[[Path], None], sentence: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(BadInput, match=sentence), AudioFileSource(tmp_path / name):
        pass


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret.wav"
    soundfile.write(path, np.zeros(10, np.int16), SAMPLE_RATE)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    with (
        pytest.raises(BadInput, match=r"secret\.wav cannot be read: Permission denied"),
        AudioFileSource(path),
    ):
        pass


def test_a_recording_damaged_further_on_is_used_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "damaged.flac"
    noise = np.random.default_rng(0).normal(0, 3_000, 10 * SAMPLE_RATE).astype(np.int16)
    soundfile.write(path, noise, SAMPLE_RATE)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    heard: list[NDArray[np.int16]] = []
    with (
        pytest.raises(BadInput, match=r"damaged.flac is damaged after [34]\.\d s"),
        AudioFileSource(path) as source,
    ):
        heard.extend(source)
    audio = np.concatenate(heard)
    assert len(audio) > 3 * SAMPLE_RATE
    assert np.array_equal(audio, noise[: len(audio)])


def quiet_then_loud(path: Path) -> bytes:
    """Ten seconds of MP3 whose bit rate at the beginning is far below that of the whole."""
    random = np.random.default_rng(0)
    sound = np.concatenate([random.normal(0, level, 5 * SAMPLE_RATE) for level in (3, 6_000)])
    how = {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.5}
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, **how) as file:
        file.write(sound.astype(np.int16))
    return path.read_bytes()


@pytest.mark.parametrize("tag", [b"", b"ID3\x04\0\0\0\0\x02\x01" + bytes(257)])
def test_an_mp3_that_was_cut_off_is_used_up_to_there(tmp_path: Path, tag: bytes) -> None:
    path = tmp_path / "cut.mp3"
    data = tag + quiet_then_loud(path)
    path.write_bytes(data)
    assert read(path)[1] == 10 * SAMPLE_RATE
    path.write_bytes(data[: len(data) // 2])
    heard: list[NDArray[np.int16]] = []
    with (
        pytest.raises(BadInput, match=r"cut.mp3 is damaged: it ends after \d\.\d s of 10\.0 s"),
        AudioFileSource(path) as source,
    ):
        heard.extend(source)
    assert heard


def test_an_mp3_that_does_not_say_how_long_it_is_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "stream.mp3"
    data = quiet_then_loud(path)
    path.write_bytes(data[data.index(data[:2], 40) :])  # without its first frame
    with AudioFileSource(path) as source:
        assert source.duration_s > 11, "a guess"
    assert read(path)[1] == pytest.approx(10 * SAMPLE_RATE, abs=5_000)
