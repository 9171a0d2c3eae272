"""A recording whose name is as long as the file system takes gets its transcript, and an export its
file; a name that would be too long is refused before the work."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.command_line import CommandProcesses
from tests.support.redis_server import RedisServer


@pytest.fixture
def earshot(tmp_path: Path) -> Iterator[CommandProcesses]:
    with RedisServer() as server:
        processes = CommandProcesses(
            tmp_path,
            EARSHOT_REDIS__URL=server.url,
            EARSHOT_JOBS__BEAT_S="1",
            EARSHOT_JOBS__FOLDER=str(tmp_path),
        )
        yield processes
        processes.close()


def silence(folder: Path, name: str) -> str:
    assert len(name.encode()) == 255
    with (folder / name).open("wb") as file:
        soundfile.write(file, np.zeros(16_000, np.int16), 16_000, format="WAV")
    return name


def test_a_transcript_and_an_export_with_the_longest_names(
    earshot: CommandProcesses, tmp_path: Path
) -> None:
    earshot.start("jobs")
    three, four = "\u8a9e" * 83 + "ab.wav", "\U0001f399" * 62 + "abc.wav"  # bytes each
    for name, where in ((three, []), (four, ["--here"])):
        silence(tmp_path, name)
        status, out, err = earshot.run("transcribe", name, *where)
        assert (status, err.count("cannot be written")) == (0, 0), err
        assert (": job transcribe-" in err) == (not where)
        transcript = tmp_path / (name[:-4] + ".txt")
        assert (out.strip(), transcript.exists()) == (str(transcript), True)
    export = "\u00e9" * 124 + "s.jsonl"
    assert len(export.encode()) == 255
    status, out, err = earshot.run("export", "--output", export)
    assert status == 0, err
    assert (tmp_path / export).exists()
    assert not list(tmp_path.glob(".*.part"))


def test_a_name_that_would_be_too_long_is_refused_before_the_work(
    earshot: CommandProcesses, tmp_path: Path
) -> None:
    name = silence(tmp_path, "\u8a9e" * 85)  # without an ending, so that .txt comes on top
    status, _, err = earshot.run("transcribe", name, "--here")
    assert (status, err.count("cannot be written: File name too long")) == (2, 1), err
    status, _, err = earshot.run("export", "--output", "\u8a9e" * 86)
    assert (status, err.count("cannot be written: File name too long")) == (2, 1), err
    assert "Traceback" not in err
