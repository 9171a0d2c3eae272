"""Audio and video that libsndfile does not read come out whole, in tune and at their own times; a
file without audio is refused with one sentence."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from common.audio import SAMPLE_RATE
from common.errors import BadInput
from producer.sources.audio_file import AudioFileSource

RATE = 48_000
SECONDS = 2.5


def encode(path: Path, codec: str, channels: int, *, gap_s: float = 0.0) -> None:
    """A tone of 440 Hz; with `gap_s` nothing is said for so long after the first second."""
    with av.open(str(path), "w") as container:
        layout = "mono" if channels == 1 else "stereo"
        stream: Any = container.add_stream(codec, rate=RATE, layout=layout)
        size = 960 if codec == "libopus" else 1024
        position = 0
        for start in range(0, round(SECONDS * RATE), size):
            wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(start, start + size) / RATE)
            frame = av.AudioFrame.from_ndarray(
                np.repeat(wave.astype(np.float32)[None], channels, axis=0), "fltp", layout
            )
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            if gap_s and start >= RATE > start - size:
                position += round(gap_s * RATE)
            frame.pts = position
            position += size
            wanted = av.AudioResampler(stream.codec_context.format, layout, RATE)
            for resampled in wanted.resample(frame):
                container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))


def read(path: Path) -> Any:
    with AudioFileSource(path) as source:
        assert source.duration_s == pytest.approx(SECONDS, abs=2.2)
        frames = list(source)
    return np.concatenate(frames)


@pytest.mark.parametrize(
    ("name", "codec", "channels"),
    [("talk.m4a", "aac", 2), ("talk.mp4", "aac", 1), ("talk.webm", "libopus", 2)],
)
def test_it_comes_out_whole_and_in_tune(
    tmp_path: Path, name: str, codec: str, channels: int
) -> None:
    encode(tmp_path / name, codec, channels)
    audio = read(tmp_path / name)
    assert len(audio) == pytest.approx(SECONDS * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    middle = audio[SAMPLE_RATE // 2 : 2 * SAMPLE_RATE]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(middle) == pytest.approx(440, abs=1)
    loudness = np.sqrt(np.mean(np.square(middle, dtype=np.float64)))
    assert loudness == pytest.approx(0.5 * 32_768 / np.sqrt(2), rel=0.05)


def test_where_sound_is_missing_there_is_silence_so_that_times_stay_true(tmp_path: Path) -> None:
    path = tmp_path / "call.webm"
    encode(path, "libopus", 1, gap_s=2.0)
    audio = read(path)
    assert len(audio) == pytest.approx((SECONDS + 2.0) * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert not audio[round(1.2 * SAMPLE_RATE) : round(2.8 * SAMPLE_RATE)].any()
    assert audio[round(3.2 * SAMPLE_RATE) : round(4.2 * SAMPLE_RATE)].any()


def test_a_film_without_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 16, 16
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with pytest.raises(BadInput, match="it holds no audio track"), AudioFileSource(path):
        pass


def test_a_damaged_file_says_how_far_it_was_good(tmp_path: Path) -> None:
    path = tmp_path / "talk.m4a"
    encode(path, "aac", 1)
    whole = path.read_bytes()
    assert whole.index(b"mdat") < whole.index(b"moov"), "what follows overwrites audio only"
    start, end = whole.index(b"mdat"), whole.index(b"moov")
    middle = (start + end) // 2
    path.write_bytes(
        whole[:middle] + bytes(b ^ 0x5A for b in whole[middle : end - 4]) + whole[end - 4 :]
    )
    frames = []
    with (
        AudioFileSource(path) as source,
        pytest.raises(BadInput, match=r"damaged after [01]\.\d s"),
    ):
        frames += list(source)


def test_a_playlist_does_not_make_this_host_fetch_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(BadInput, match=r"list\.m3u8 is no audio"), AudioFileSource(path):
        pass
