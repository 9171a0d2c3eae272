"""Recordings in progress are bounded, by number and by bytes, before they take any room; and one
that is refused or aborted frees its place at once and leaves no file.

Real sockets to a real dashboard, so that a test decides which bytes come and which never do.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
from websockets.sync.client import connect

from tests.support.dashboard_process import DashboardProcess
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync

PLACES: Final = 16
MB: Final = 2**20
LARGEST_MB: Final = 4.0
TOGETHER: Final = 5


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as server:
        yield server


@pytest.fixture
def board(server: RedisServer, tmp_path: Path) -> Iterator[DashboardProcess]:
    variables = {"EARSHOT_DASHBOARD__UPLOAD_MAX_MB": str(LARGEST_MB)}
    with DashboardProcess(tmp_path, server.url, variables) as board:
        yield board


class Upload:
    """One recording on its way, as far as the test has sent it."""

    def __init__(self, board: DashboardProcess, *headers: str) -> None:
        address = urlsplit(board.url)
        self.socket = socket.create_connection((address.hostname or "", address.port or 0), 60)
        lines = ["POST /api/recordings?name=a.wav HTTP/1.1", f"Host: {address.netloc}", *headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def send(self, block: bytes) -> None:
        self.socket.sendall(block)

    def send_chunk(self, block: bytes) -> None:
        self.send(f"{len(block):x}\r\n".encode() + block + b"\r\n")

    def has_answer(self) -> bool:
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        finally:
            self.socket.settimeout(60)

    def answer(self) -> tuple[int, dict[str, str], dict[str, str]]:
        """Wait for the answer: its status, its headers, its JSON."""
        with self.socket.makefile("rb") as file:
            status = int(file.readline().split(b" ")[1])
            headers = {}
            while line := file.readline().strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            return status, headers, json.loads(file.read(int(headers["content-length"])))

    def close(self) -> None:
        self.socket.close()


def stated(size: float) -> str:
    return f"Content-Length: {round(size)}"


def files(folder: Path) -> list[Path]:
    found = os.walk(folder / "outbox" / "uploads")  # which bears that folders disappear
    return [Path(place) / name for place, _, names in found for name in names]


def size_of(path: Path) -> int:
    return path.stat().st_size


def wav(folder: Path) -> bytes:
    path = folder / "silence.wav"
    soundfile.write(path, np.zeros(8_000, np.int16), 16_000)
    return path.read_bytes()


def is_accepted(board: DashboardProcess, audio: bytes) -> bool:
    with ExitStack() as stack:
        upload = Upload(board, stated(len(audio)))
        stack.callback(upload.close)
        upload.send(audio)
        return upload.answer()[0] == 202


@pytest.mark.parametrize("way", ["stated", "chunked"])
def test_forty_at_once_are_sixteen_and_the_others_are_told_when_to_try_again(
    way: str, board: DashboardProcess, tmp_path: Path
) -> None:
    header = stated(100_000) if way == "stated" else "Transfer-Encoding: chunked"
    uploads = [Upload(board, header) for _ in range(40)]
    for upload in uploads:
        upload.send(b"x" * 100) if way == "stated" else upload.send_chunk(b"x" * 100)
    refused = until_sync(
        lambda: [one for one in uploads if one.has_answer()], lambda seen: len(seen) == 40 - PLACES
    )
    for upload in refused:
        status, headers, body = upload.answer()
        assert (status, body) == (
            429,
            {"error": "16 visitors send already: try again when one has ended"},
        )
        assert int(headers["retry-after"]) > 0
    assert len(files(tmp_path)) == PLACES
    microphone = board.url.replace("http", "ws") + "api/speak"
    with connect(microphone, proxy=None, compression=None) as page:
        assert "16 visitors send already" in json.loads(page.recv())["error"]
    for upload in uploads:
        upload.close()
    until_sync(lambda: files(tmp_path), lambda left: not left)
    until_sync(lambda: is_accepted(board, wav(tmp_path)))
    assert "Traceback" not in board.log


def test_what_is_stated_to_be_too_large_is_refused_before_it_comes(
    board: DashboardProcess, tmp_path: Path
) -> None:
    for size in (LARGEST_MB * MB + 1, 10**15):
        upload = Upload(board, stated(size), "Expect: 100-continue")
        status, headers, body = upload.answer()
        assert (status, "larger than 4 MB" in body["error"]) == (413, True)
        assert "retry-after" not in headers, "waiting would be vain"
        upload.close()
    assert files(tmp_path) == []


def test_what_turns_out_to_be_too_large_is_refused_while_it_comes(
    board: DashboardProcess, tmp_path: Path
) -> None:
    upload = Upload(board, "Transfer-Encoding: chunked")
    for _ in range(16 * 4 + 1):
        upload.send_chunk(b"x" * (MB // 16))
    status, _, body = upload.answer()
    assert (status, "larger than 4 MB" in body["error"]) == (413, True)
    upload.close()
    until_sync(lambda: files(tmp_path), lambda left: not left)


@pytest.mark.parametrize("way", ["stated", "chunked"])
def test_recordings_together_take_no_more_than_five_of_the_largest(
    way: str, board: DashboardProcess, tmp_path: Path
) -> None:
    header = stated(LARGEST_MB * MB) if way == "stated" else "Transfer-Encoding: chunked"
    held = [Upload(board, header) for _ in range(TOGETHER)]
    for upload in held:
        for size in (MB, MB, MB, 10):  # which is more than three
            upload.send(b"x" * size) if way == "stated" else upload.send_chunk(b"x" * size)
    until_sync(lambda: sum(map(size_of, files(tmp_path))) >= TOGETHER * 3 * MB)
    for more in (stated(1), header):
        upload = Upload(board, more)
        if more.startswith("Transfer"):
            upload.send_chunk(b"x")
        status, headers, body = upload.answer()
        assert (status, "take all room" in body["error"]) == (503, True)
        assert int(headers["retry-after"]) > 0
        upload.close()
    held[0].close()
    until_sync(lambda: is_accepted(board, wav(tmp_path)))
    for upload in held:
        upload.close()


def test_what_is_no_audio_or_has_a_strange_name_frees_its_place(
    board: DashboardProcess, tmp_path: Path
) -> None:
    for _ in range(2 * PLACES):
        upload = Upload(board, stated(8))
        upload.send(b"no audio")
        assert upload.answer()[0] == 400
        upload.close()
    assert files(tmp_path) == []
    assert is_accepted(board, wav(tmp_path))


def test_a_recording_that_was_heard_frees_its_place_and_its_file(
    board: DashboardProcess, tmp_path: Path
) -> None:
    audio = wav(tmp_path)
    for _ in range(2 * PLACES):
        until_sync(lambda: is_accepted(board, audio))
    until_sync(lambda: files(tmp_path), lambda left: not left)


def test_files_of_a_killed_dashboard_are_deleted_and_those_of_another_one_stay(
    board: DashboardProcess, server: RedisServer, tmp_path: Path
) -> None:
    upload = Upload(board, stated(1_000))
    upload.send(b"x" * 100)
    (file,) = until_sync(lambda: files(tmp_path), bool)
    with DashboardProcess(tmp_path / "outbox" / "..", server.url, {}):
        assert file.exists()
        board.kill()
        upload.close()
    assert file.exists()
    board.start()
    assert not file.exists()


def test_an_orderly_end_leaves_no_file(board: DashboardProcess, tmp_path: Path) -> None:
    upload = Upload(board, stated(1_000))
    upload.send(b"x" * 100)
    until_sync(lambda: files(tmp_path), bool)
    assert board.stop() == 0
    assert list((tmp_path / "outbox" / "uploads").iterdir()) == []
    upload.close()
