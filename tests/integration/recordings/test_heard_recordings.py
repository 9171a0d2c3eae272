"""Recordings of the kinds that people have trouble with come out with the right words at the right
times; a speaker is told apart by the channel; nothing that is missing is passed over."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ops.demo.recording_file import RATE, Sentence, normalise, read_samples, read_sentences
from tests.support.command_line import CommandProcesses
from tests.support.media_files import encode_media
from tests.support.redis_server import RedisServer

Samples = NDArray[np.float32]

SENTENCES = [read_sentences()[0], read_sentences()[2]]
ROOM_S = 0.8
WITHIN_S = 0.2


@pytest.fixture
def earshot(tmp_path: Path) -> Iterator[CommandProcesses]:
    with RedisServer() as server:
        processes = CommandProcesses(
            tmp_path,
            EARSHOT_REDIS__URL=server.url,
            EARSHOT_STT__MODEL="demo",
            EARSHOT_LISTEN__OUTBOX=str(tmp_path / "outbox"),
            EARSHOT_JOBS__FOLDER=str(tmp_path / "jobs"),
        )
        yield processes
        processes.close()


def said(sentence: Sentence) -> Samples:
    """A sentence with ROOM_S before and after it."""
    return read_samples(sentence, ROOM_S).astype(np.float32) / np.float32(32_768)


FIRST, SECOND = map(said, SENTENCES)
SAID = np.concatenate([FIRST, SECOND])
BEGINS_S = [ROOM_S, len(FIRST) / RATE + ROOM_S]
ENDS_S = [
    begin + sentence.end_s - sentence.start_s
    for begin, sentence in zip(BEGINS_S, SENTENCES, strict=True)
]


def write_wave(path: Path, *channels: Samples) -> None:
    soundfile.write(path, np.stack(channels, axis=1), RATE)


def transcribe(earshot: CommandProcesses, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, the transcripts as JSON by the names of their files, stderr."""
    options = ("--here", "--format", "json", "--overwrite")
    status, out, err = earshot.run("transcribe", *arguments, *options)
    read = [json.loads(Path(line).read_text(encoding="utf-8")) for line in out.splitlines()]
    return status, {one["file"]: one for one in read}, err


def assert_it_is_right(transcript: dict[str, Any], name: str) -> None:
    lines = transcript["lines"]
    texts = [normalise(line["text"]) for line in lines]
    assert texts == [normalise(sentence.text) for sentence in SENTENCES], name
    for line, begin_s, end_s in zip(lines, BEGINS_S, ENDS_S, strict=True):
        # a segment holds the pre-roll and the tail
        assert begin_s - 0.5 - WITHIN_S <= line["start_s"] <= begin_s + WITHIN_S, name
        assert end_s - WITHIN_S <= line["end_s"] <= end_s + 0.5 + WITHIN_S, name


def test_odd_recordings_are_transcribed_right(earshot: CommandProcesses, tmp_path: Path) -> None:
    none, noise = np.zeros_like(SAID), np.random.default_rng(0).normal(0, 0.05, len(SAID))
    write_wave(tmp_path / "opposite.wav", SAID, -SAID)
    write_wave(tmp_path / "one of six.wav", none, none, none, SAID, none, none)
    write_wave(tmp_path / "noisy.wav", noise.astype(np.float32), SAID)
    write_wave(tmp_path / "quiet.wav", SAID * np.float32(10 ** (-38 / 20)))
    write_wave(tmp_path / "killed.wav", SAID)
    data = bytearray((tmp_path / "killed.wav").read_bytes())
    data[4:8], data[40:44] = struct.pack("<I", 36), bytes(4)
    (tmp_path / "killed.wav").write_bytes(data)
    encode_media(tmp_path / "late.ts", "aac", SAID, container="mpegts", start_s=7 * 3_600)
    for name, codec in (("chained.ogg", "libopus"), ("joined.mp3", "libmp3lame")):
        parts = [
            encode_media(tmp_path / name, codec, part, rate=48_000) for part in (FIRST, SECOND)
        ]
        (tmp_path / name).write_bytes(b"".join(parts))
    names = sorted(path.name for path in tmp_path.glob("*.*"))
    assert len(names) == 8
    earshot.start("stt")
    status, transcripts, err = transcribe(earshot, *names)
    assert status == 0, err
    for name in names:
        assert_it_is_right(transcripts[name], name)


def test_two_people_on_two_channels_are_told_apart(
    earshot: CommandProcesses, tmp_path: Path
) -> None:
    none = np.zeros_like(FIRST)
    left = np.concatenate([FIRST, np.zeros_like(SECOND)])
    right = np.concatenate([none, SECOND])
    write_wave(tmp_path / "call.wav", left, right)
    earshot.start("stt")
    status, transcripts, err = transcribe(earshot, "call.wav", "--channels", "separate")
    assert status == 0, err
    assert_it_is_right(transcripts["call.wav"], "call.wav")
    assert [line["channel"] for line in transcripts["call.wav"]["lines"]] == [1, 2]
    assert transcripts["call.wav"]["duration_s"] == pytest.approx(len(SAID) / RATE, abs=0.05)
    status, _, err = earshot.run("transcribe", "call.wav", "--channels", "separate", "--here")
    assert status == 0, err
    text = (tmp_path / "call.txt").read_text()
    assert [line[11:21] for line in text.splitlines()] == ["channel 1:", "channel 2:"]


def test_a_recording_in_which_nobody_speaks_is_said(
    earshot: CommandProcesses, tmp_path: Path
) -> None:
    hiss = np.random.default_rng(0).normal(0, 10 ** (-58 / 20), 70 * RATE).astype(np.float32)
    write_wave(tmp_path / "hiss.wav", hiss)
    write_wave(tmp_path / "hush.wav", np.zeros(2 * RATE, np.float32))
    status, transcripts, err = transcribe(earshot, "hiss.wav")
    assert status == 1
    assert (
        "hiss.wav: nobody was heard to speak in its 70 s: the loudest half second is at -5" in err
    )
    assert transcripts["hiss.wav"]["note"] in err
    status, _, err = transcribe(earshot, "hush.wav")
    assert status == 0, "of so short a recording it may be meant"
    assert "hush.wav: there is hardly any sound in its 2 s" in err
    status, _, err = earshot.run("listen", "--input", "hush.wav")
    assert status == 0
    assert '"event": "nobody_spoke"' in err
