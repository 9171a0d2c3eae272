"""A recording may have a name that is no UTF-8, or one of 255 bytes: every command takes it,
and shows it in a form that any reader takes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.command_line import CommandProcesses
from tests.support.redis_server import RedisServer

NAME = os.fsdecode(b"gr\xfc\xdfe an \xff.wav")
SHOWN = r"gr\xfc\xdfe an \xff.wav"
LONG = os.fsdecode(b"\xe9" * 251 + b".wav")


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as redis:
        yield redis


@pytest.fixture
def earshot(redis: RedisServer, tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(
        tmp_path,
        EARSHOT_REDIS__URL=redis.url,
        EARSHOT_LISTEN__OUTBOX=str(tmp_path / "outbox"),
        EARSHOT_JOBS__FOLDER=str(tmp_path),
        EARSHOT_JOBS__BEAT_S="1",
        # of a terminal in most places; Python is less strict in the locale C
        PYTHONIOENCODING="utf-8:strict",
        COLUMNS="500",
    )
    yield processes
    processes.close()


def run(earshot: CommandProcesses, *arguments: str) -> tuple[int, bytes, str]:
    """Exit status, bytes of stdout, stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", *arguments],
        env=earshot.variables,
        cwd=earshot.folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    err = done.stderr.decode()  # nothing but UTF-8
    assert "Traceback" not in err
    return done.returncode, done.stdout, err


def silence(folder: Path, name: str) -> None:
    with (folder / name).open("wb") as file:
        soundfile.write(file, np.zeros(8_000, np.int16), 16_000, format="WAV")


def test_transcribing_here_and_as_a_job(earshot: CommandProcesses, tmp_path: Path) -> None:
    silence(tmp_path, NAME)
    silence(tmp_path, LONG)
    bad = os.fsdecode(b"b\xf6se.mp3")
    (tmp_path / bad).write_bytes(b"no music")
    output = os.fsdecode(b"\xe4.json")
    status, out, err = run(earshot, "transcribe", NAME, "--here", "--output", output)
    assert (status, out) == (0, os.fsencode(tmp_path / output) + b"\n"), err
    assert f"{SHOWN}: in work\n" in err
    assert json.loads((tmp_path / output).read_text(encoding="utf-8"))["file"] == SHOWN
    earshot.start("jobs")
    status, out, err = run(earshot, "transcribe", NAME, LONG, bad)
    assert status == 1
    assert f"{SHOWN}: job transcribe-" in err
    assert r"b\xf6se.mp3 is no audio that can be read here" in err
    texts = [name.replace(".wav", ".txt") for name in (NAME, LONG)]
    assert out == b"".join(os.fsencode(tmp_path / name) + b"\n" for name in texts)
    assert all((tmp_path / name).exists() for name in texts)
    status, out, err = run(earshot, "jobs", "list")
    assert status == 0
    assert SHOWN in out.decode()


def test_listening_to_it(earshot: CommandProcesses, tmp_path: Path) -> None:
    silence(tmp_path, NAME)
    silence(tmp_path, LONG)
    status, _, err = run(earshot, "listen", "--input", NAME)
    assert status == 0
    lines = [json.loads(line) for line in err.splitlines()]
    assert {line["event"]: line for line in lines}["listening"]["source"] == SHOWN
    assert run(earshot, "listen", "--input", LONG)[0] == 0
    status, _, err = run(earshot, "listen", "--input", os.fsdecode(b"n\xe9e.wav"))
    assert (status, err) == (2, "earshot: there is no file n\\xe9e.wav; check its name\n")


def test_exporting_into_it(earshot: CommandProcesses, tmp_path: Path) -> None:
    elsewhere = os.fsdecode(b"/nowh\xe9re/a.jsonl")
    status, _, err = run(earshot, "export", "--output", elsewhere)
    assert status == 2
    assert r"/nowh\xe9re/a.jsonl cannot be written" in err
    earshot.start("jobs")
    name = os.fsdecode(b"\xe9t\xe9.jsonl")
    status, out, err = run(earshot, "export", "--output", name)
    assert (status, out) == (0, os.fsencode(tmp_path / name) + b"\n"), err
    assert r"\xe9t\xe9.jsonl: done" in err
    outside = tmp_path.parent / os.fsdecode(b"\xe9" + os.fsencode(tmp_path.name) + b".csv")
    status, out, err = run(earshot, "export", "--format", "csv", "--output", str(outside))
    assert (status, out) == (0, os.fsencode(outside) + b"\n"), err
    assert outside.exists()
