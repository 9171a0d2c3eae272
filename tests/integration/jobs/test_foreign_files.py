"""A job reads and writes in its folder only, whatever files it names, and replaces none that
earshot did not write. The jobs are written by hand, and nobody has set a folder."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import soundfile
from redis import Redis

from common.keys import Shard
from tests.support.foreign_jobs import SPOKEN, end, export, push, running_jobs, transcribe
from tests.support.redis_server import RedisServer
from tests.support.speechlike import speechlike


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as a shell finds it."""
    home = tmp_path_factory.mktemp("home")
    (home / ".bashrc").write_text("# the shell's own\n")
    (home / "notes.txt").write_text("mine")
    soundfile.write(home / "private.wav", speechlike(0.5), 16_000)
    return home


@pytest.fixture(scope="module")
def folder(server: RedisServer, home: Path) -> Iterator[Path]:
    """The folder of jobs that run."""
    with running_jobs(server, home) as folder:
        yield folder


@pytest.fixture
def client(server: RedisServer) -> Iterator["Redis"]:
    with server.sync_client() as client:
        yield client


def everything_below(home: Path, folder: Path) -> dict[Path, bytes]:
    """Everything outside of the folder of the jobs."""
    return {
        path: path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and not path.is_relative_to(folder)
    }


OUTSIDE: Final = (
    "{home}/.bashrc",
    "{home}/new.jsonl",
    "../../../../.bashrc",
    "../new.jsonl",
    "link/new.jsonl",
    "{home}/../x.jsonl",
    "{folder}/../out.jsonl",
    "~/.bashrc",
)


@pytest.mark.parametrize("output", OUTSIDE)
def test_an_export_writes_nothing_outside_of_the_folder(
    output: str, client: "Redis", home: Path, folder: Path
) -> None:
    if not (folder / "link").is_symlink():
        (folder / "link").symlink_to(home)
    before = everything_below(home, folder)
    name = output.format(home=home, folder=folder)
    status, why = end(client, push(client, "export", export(name)))
    assert (status, re.search("is outside of|does not write", why) is not None) == (
        "failed",
        True,
    ), why
    assert everything_below(home, folder) == before
    assert not any(SPOKEN in path.read_text(errors="replace") for path in folder.rglob("*.jsonl"))


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (".profile.jsonl", "hidden"),
        (".config/x.jsonl", "hidden"),
        (".earshot/x.jsonl", "hidden"),
        ("sitecustomize.py", "must end in .jsonl"),
        ("bashrc", "must end in .jsonl"),
        ("start.sh", "must end in .jsonl"),
        ("x.csv", "must end in .jsonl"),
        ("mine.jsonl", "earshot did not write it"),
        ("to-mine.jsonl", "earshot did not write it"),
        ("folder.jsonl", "earshot did not write it"),
        ("none/x.jsonl", "there is no folder|No such file"),
        ("a\x00b.jsonl", "must be the name of a file"),
        ("\ud800.jsonl", "output is not usable"),
        (".", "is outside"),
        ("x" * 5_000 + ".jsonl", "is outside"),
        ("x" * 300 + ".jsonl", "too long"),
    ],
)
def test_in_the_folder_only_new_files_of_their_format_are_written(
    output: str, why: str, client: "Redis", folder: Path
) -> None:
    (folder / "mine.jsonl").write_text("mine")
    (folder / "folder.jsonl").mkdir(exist_ok=True)
    if not (folder / "to-mine.jsonl").is_symlink():
        (folder / "to-mine.jsonl").symlink_to(folder / "mine.jsonl")
    status, error = end(client, push(client, "export", export(output)))
    assert status == "failed"
    assert re.search(why, error), error
    assert (folder / "mine.jsonl").read_text() == "mine"
    assert not list(folder.rglob("*.py"))
    assert not [path for path in folder.rglob(".earshot-*") if path.is_file()]


def test_an_export_is_written_and_replaced_until_somebody_changes_it(
    client: "Redis", folder: Path
) -> None:
    file = folder / "events.jsonl"
    for _ in range(2):
        assert end(client, push(client, "export", export("events.jsonl")))[0] == "finished"
        assert SPOKEN in file.read_text()
    file.write_text("corrected by hand")
    status, why = end(client, push(client, "export", export("events.jsonl")))
    assert (status, "somebody has changed it since" in why) == ("failed", True)
    assert file.read_text() == "corrected by hand"


@pytest.mark.parametrize(
    "file", ["/etc/shadow", "/etc/passwd", "{home}/private.wav", "../../../../private.wav",
             "link/private.wav", "private-link.wav", "/dev/zero", "/proc/self/environ"]
)  # fmt: skip
def test_a_recording_outside_of_the_folder_is_not_read(
    file: str, client: "Redis", home: Path, folder: Path
) -> None:
    for name, target in (("link", home), ("private-link.wav", home / "private.wav")):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(target)
    name = file.format(home=home)
    size = (home / "private.wav").stat().st_size
    status, why = end(client, push(client, "transcribe", transcribe(name, "x.txt", size)))
    assert status == "failed"
    assert "is outside of" in why, "and neither its size nor whether it is there"
    assert str(size) not in why.replace(str(folder), "")
    assert client.xlen(Shard(0).recordings) == 0


def test_what_is_no_file_is_not_read(client: "Redis", folder: Path) -> None:
    os.mkfifo(folder / "pipe.wav")
    status, why = end(client, push(client, "transcribe", transcribe("pipe.wav", "x.txt")))
    assert (status, "is no file" in why) == ("failed", True)
