"""A recording that comes too slowly, or finds the disk full, and a page that fell asleep free what
they held; one that goes on coming may take as long as it wants."""

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import httpx
import pytest

from ops.dashboard.app import dashboard_app
from ops.dashboard.routes.sending import Sending
from ops.dashboard.visitors.admission import LARGEST_AT_ONCE, Admission, Refusal
from ops.dashboard.visitors.uploads import WINDOW_BYTES, Uploads, receive
from tests.support.waiting import until

LARGEST: Final = 10 * WINDOW_BYTES
SHORT_S: Final = 0.01


def admission() -> Admission:
    return Admission(max_bytes=LARGEST, limit="all", free=lambda: 10**12)


def has_all_room(every: Admission) -> bool:
    with_all = [every.admit() for _ in range(LARGEST_AT_ONCE)]
    for place in with_all:
        place.reserve(LARGEST)
    for place in with_all:
        place.close()
    return True


async def stalling(asked: asyncio.Event) -> AsyncIterator[bytes]:
    yield b"x"
    asked.set()
    await asyncio.Event().wait()


async def test_a_recording_that_stops_coming_is_refused_and_deleted(tmp_path: Path) -> None:
    every, asked = admission(), asyncio.Event()
    producers: Any = SimpleNamespace(frame_ms=30)
    with Uploads(tmp_path / "uploads") as uploads:
        sending = Sending(producers, every, uploads, window_s=SHORT_S)
        app = dashboard_app(sending.routes(), token="", port=1, key_file=tmp_path / "key")
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answer = await http.post("/api/recordings?name=a.wav", content=stalling(asked))
        assert asked.is_set()
        assert answer.status_code == 408
        assert "send the recording again" in answer.json()["error"]
        assert has_all_room(every)
        (own,) = (tmp_path / "uploads").iterdir()
        assert list(own.iterdir()) == []


async def test_each_window_begins_anew_as_long_as_enough_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[float | None] = []

    class Spy(asyncio.Timeout):  # type: ignore[misc]  # final for the type checker only
        def reschedule(self, when: float | None) -> None:
            begun.append(when)
            super().reschedule(when)

    async def coming() -> AsyncIterator[bytes]:
        for size in (WINDOW_BYTES - 1, 1, WINDOW_BYTES // 2, WINDOW_BYTES, 5):
            yield b"x" * size

    monkeypatch.setattr(asyncio, "timeout", lambda s: Spy(asyncio.get_running_loop().time() + s))
    await receive(coming(), tmp_path / "a", admission().admit(), window_s=3_600)
    assert len(begun) == 1 + 2
    assert (tmp_path / "a").stat().st_size == 2 * WINDOW_BYTES + WINDOW_BYTES // 2 + 5


async def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def coming() -> AsyncIterator[bytes]:
        yield b"x"

    async def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(asyncio, "to_thread", full)
    with pytest.raises(Refusal, match="the disk of the dashboard is full") as refused:
        await receive(coming(), tmp_path / "a", admission().admit(), window_s=60)
    assert (refused.value.status, refused.value.retry_after_s > 0) == (503, True)


async def test_without_a_folder_only_sending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    producers: Any = SimpleNamespace(frame_ms=30)
    with Uploads(tmp_path / "file" / "uploads") as uploads:
        every = Admission(max_bytes=LARGEST, limit="all", free=uploads.free)
        sending = Sending(producers, every, uploads)
        app = dashboard_app(sending.routes(), token="", port=1, key_file=tmp_path / "key")
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answer = await http.post("/api/recordings?name=a.wav", content=b"x")
    assert answer.status_code == 400
    assert "set EARSHOT_LISTEN__OUTBOX to a folder" in answer.json()["error"]


class Asleep:
    """A page that sends nothing."""

    query_params: Final[dict[str, str]] = {}

    def __init__(self) -> None:
        self.told: list[str] = []
        self.closed: list[int] = []

    async def accept(self) -> None:
        pass

    async def send_text(self, text: str) -> None:
        self.told.append(text)

    async def receive_bytes(self) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self, code: int = 1000, _reason: str = "") -> None:
        self.closed.append(code)


async def test_a_page_that_fell_asleep_is_let_go_and_a_failed_one_frees_its_place(
    tmp_path: Path,
) -> None:
    ended: list[Any] = []

    def begin(source: Any, session: str, on_end: Any) -> None:
        ended.append(on_end)
        if len(ended) > 1:
            raise RuntimeError("no outbox")

    every, page, failing = admission(), Asleep(), Asleep()
    producers: Any = SimpleNamespace(frame_ms=30, find=lambda session: None, begin=begin)
    with Uploads(tmp_path) as uploads:
        sending = Sending(producers, every, uploads, silent_s=SHORT_S)
        socket: Any = page
        await sending.speak(socket)
        assert page.closed == [1001]
        await until(lambda: len(every._places) == 1)
        ended[0]()
        socket = failing
        with pytest.raises(RuntimeError, match="no outbox"):
            await sending.speak(socket)
    assert not every._places
