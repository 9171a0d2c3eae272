"""A pipe may carry a recording of any format, or raw samples: each is heard as what it is. What is
no audio is named."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import BadInput
from producer.sources.raw_pcm import RawPcmSource, open_fifo
from producer.sources.stream_format import ENOUGH, is_certain, recognise
from tests.support.stepped_tones import find_steps, tones, write_tones, write_wave

FORMATS = [
    ("a.mp3", "libmp3lame", None),
    ("a.mp2", "mp2", None),
    ("a.aac", "aac", "adts"),
    ("a.m4a", "aac", None),
    ("a.mov", "pcm_s16le", None),
    ("a.ogg", "libopus", None),
    ("a.webm", "libopus", None),
    ("a.mka", "aac", None),
    ("a.flac", "flac", None),
    ("a.ts", "aac", "mpegts"),
    ("a.vob", "mp2", "vob"),
    ("a.wma", "wmav2", "asf"),
    ("a.flv", "aac", None),
    ("a.avi", "pcm_s16le", None),
    ("a.ac3", "ac3", None),
    ("a.caf", "alac", "caf"),
    ("a.aiff", "pcm_s16be", None),
    ("a.au", "pcm_s16be", None),
    ("a.wv", "wavpack", None),
    ("a.tta", "tta", None),
]

PIPED = {"mp3", "aac", "m4a", "ogg", "webm", "ts", "caf"}
"""Those that are read to their end; each costs a process."""


def write(path: Path, codec: str, container: str | None) -> bytes:
    rate = 48_000 if codec in {"libopus", "mp2", "ac3"} else 16_000
    return write_tones(path, codec, range(3), container=container, rate=rate)


@pytest.mark.parametrize(("name", "codec", "container"), FORMATS)
def test_each_format_is_recognised_by_its_first_bytes(
    tmp_path: Path, name: str, codec: str, container: str | None
) -> None:
    data = write(tmp_path / name, codec, container)
    form = recognise(data[:ENOUGH])
    assert form is not None
    assert form.is_audio
    if is_certain(data[:16]):
        assert recognise(data[:16]) == form


@pytest.mark.parametrize(
    ("name", "codec", "container"), [form for form in FORMATS if form[0][2:] in PIPED]
)
def test_a_recording_in_a_pipe_is_heard(
    tmp_path: Path, name: str, codec: str, container: str | None
) -> None:
    write(tmp_path / name, codec, container)
    with (
        subprocess.Popen(["cat", str(tmp_path / name)], stdout=subprocess.PIPE) as cat,
        RawPcmSource(cast(BinaryIO, cat.stdout)) as source,
    ):
        audio = np.concatenate(list(source))
    assert find_steps(audio)[:3] == [0, 1, 2]


def test_so_is_a_file_that_stdin_was_redirected_from(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(write_wave(range(3)))
    with path.open("rb") as file, RawPcmSource(file) as source:
        assert find_steps(np.concatenate(list(source)))[:3] == [0, 1, 2]


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@pytest.mark.parametrize("kind", ["recording", "raw"])
def test_a_named_pipe_may_be_opened_before_its_writer(fifo: Path, kind: str) -> None:
    raw = (tones(range(3)) * 32_767).astype("<i2").tobytes()
    data = raw if kind == "raw" else write_wave(range(3))
    heard: list[NDArray[np.int16]] = []
    with RawPcmSource(open_fifo(fifo), name="fifo") as source:
        reading = threading.Thread(target=lambda: heard.extend(source))
        reading.start()
        with fifo.open("wb") as pipe:
            pipe.write(data)
        reading.join()
    assert find_steps(np.concatenate(heard))[:3] == [0, 1, 2]


def test_closing_ends_a_recording_that_goes_on(tmp_path: Path) -> None:
    data = write(tmp_path / "a.mp3", "libmp3lame", None)
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as pipe, os.fdopen(write_end, "wb") as writer:
        writer.write(data)
        writer.flush()
        with RawPcmSource(pipe) as source:
            frames = iter(source)
            next(frames)
            source.close()
            assert len(list(frames)) < 100


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04" + bytes(500), "a ZIP archive"),
        (b"%PDF-1.7\n" + bytes(500), "a PDF"),
        (b"Hello. This is what was said.\n" * 9, "text"),
        (b'{"lines": []}' + b" " * 100, "text"),
    ],
)
def test_what_is_no_audio_is_named(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with (
        path.open("rb") as file,
        RawPcmSource(file) as source,
        pytest.raises(BadInput, match=f"stdin carries {what}, which holds no audio"),
    ):
        list(source)


def raw_beginnings() -> Iterator[bytes]:
    random = np.random.default_rng(7)
    for level in (0, 1, 2, 30, 1_000, 8_000, 30_000):
        for _ in range(40):
            yield random.normal(0, level, 2_048).clip(-32_768, 32_767).astype("<i2").tobytes()
    for step in range(60):
        yield (tones(range(step, step + 1))[:2_048] * 32_767).astype("<i2").tobytes()
    yield b"\xff\xff" * 2_048
    yield b"\xff\x7f" * 2_048


def test_raw_samples_are_not_taken_for_a_recording() -> None:
    for head in raw_beginnings():
        assert recognise(head) is None
        assert is_certain(head)


def test_a_channel_that_a_stream_lacks_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for data in (bytes(4_000), write_wave(range(1))):
        path.write_bytes(data)
        with (
            path.open("rb") as file,
            RawPcmSource(file, channel=2) as source,
            pytest.raises(BadInput, match="stdin has no channel 2"),
        ):
            list(source)
