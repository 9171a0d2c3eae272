"""Audio that visitors send from the page: recordings and microphones."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from common.audio import SAMPLE_RATE
from common.errors import BadInput
from ops.dashboard.visitors.browser_microphone import BrowserMicrophone
from ops.dashboard.visitors.visitor_producers import VISITOR_SESSION, VisitorProducers, new_session
from producer.shipping.identity import clean_source_name
from producer.sources.audio_file import AudioFileSource

NAME_MAX: Final = 200
"""Longest name of a file, in bytes. File systems allow 255."""


class Sending:
    """The routes for sending audio; `max_mb` (2^20 bytes) is the largest accepted recording."""

    def __init__(self, producers: VisitorProducers, *, max_mb: float) -> None:
        self._producers = producers
        self._max_mb = max_mb

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/api/recordings", self.upload, methods=["POST"]),
            Route("/api/recordings/{session}", self.progress),
            WebSocketRoute("/api/speak", self.speak),
        ]

    async def upload(self, request: Request) -> Response:
        """Take an audio file as the body and `?name=` as its name; answer with its session."""
        self._producers.check_room()
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="earshot-upload-")))
            path = folder / _file_name(request.query_params.get("name", ""))
            try:
                await self._receive(request, path)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it any more
            source = AudioFileSource(path, self._producers.frame_ms, called=path.name)
            stack.push(source)  # before it is open: this task may be cancelled meanwhile
            # refuses a file that is no audio while the visitor waits
            await asyncio.to_thread(source.__enter__)
            session = new_session()
            self._producers.begin(source, session, on_end=stack.pop_all().close)
        return JSONResponse({"session": session}, 202)

    async def _receive(self, request: Request, path: Path) -> None:
        left = round(self._max_mb * 2**20)
        with path.open("wb") as file:
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    raise BadInput(
                        f"the recording is larger than {self._max_mb:g} MB, the limit in"
                        " EARSHOT_DASHBOARD__UPLOAD_MAX_MB: send it in parts"
                    )
                await asyncio.to_thread(file.write, chunk)

    async def progress(self, request: Request) -> Response:
        """Return a recording's progress.

        `heard_s` of `duration_s` (s), whether it is `over`, and `why` it failed, if it did.
        """
        producer = self._producers.find(request.path_params["session"])
        if producer is None:
            raise BadInput("this dashboard has no such recording, or no longer")
        source = producer.source
        return JSONResponse(
            {
                "heard_s": round(source.samples / SAMPLE_RATE, 2),
                "duration_s": round(getattr(source, "duration_s", 0.0), 2),
                "over": producer.is_over,
                "why": producer.why,
            }
        )

    async def speak(self, socket: WebSocket) -> None:
        """Take s16le at 16 kHz, mono, in binary messages, until the page disconnects.

        The first answer names the session: the requested one, if it is free.
        """
        await socket.accept()
        source = BrowserMicrophone(self._producers.frame_ms)
        try:
            session = self._begin(source, socket.query_params.get("session", ""))
        except BadInput as error:
            await _tell(socket, error=str(error))
            await socket.close()
            return
        try:
            await _tell(socket, session=session)
            while True:
                source.push(await socket.receive_bytes())
        except (WebSocketDisconnect, KeyError):  # KeyError: a text message, which no page sends
            pass
        finally:
            source.finish()

    def _begin(self, source: BrowserMicrophone, wanted: str) -> str:
        session = wanted if VISITOR_SESSION.fullmatch(wanted) else new_session()
        before = self._producers.find(session)
        if before is not None and not before.is_over:
            session = new_session()  # its earlier speech is still being sent
        self._producers.begin(source, session, on_end=lambda: None)
        return session


async def _tell(socket: WebSocket, **values: Any) -> None:
    await socket.send_text(json.dumps(values))


def _file_name(name: str) -> str:
    """Turn the visitor's name for a file into a safe file name."""
    safe = clean_source_name(name).replace("/", "_").lstrip(".")
    return safe.encode()[-NAME_MAX:].decode(errors="ignore") or "recording"
