"""Audio that visitors send from the page: recordings and microphones."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from common.audio import SAMPLE_RATE
from common.errors import BadInput
from ops.dashboard.visitors.admission import Admission, Place, Refusal
from ops.dashboard.visitors.browser_microphone import BrowserMicrophone
from ops.dashboard.visitors.uploads import WINDOW_S, Uploads, receive
from ops.dashboard.visitors.visitor_producers import VISITOR_SESSION, VisitorProducers, new_session
from producer.shipping.identity import clean_source_name
from producer.sources.audio_file import AudioFileSource

READ_REST_S: Final = 2.0
SILENT_S: Final = 60.0
"""A page that sends nothing for so long has been put to sleep; microphones send silence too."""

NAME_MAX: Final = 200
"""Longest name of a file, in bytes. File systems allow 255."""


class Sending:
    """The routes for sending audio, with the files of `uploads`.

    A recording is refused if less than WINDOW_BYTES come in `window_s` (s). A microphone ends if
    nothing comes for `silent_s`.
    """

    def __init__(
        self,
        producers: VisitorProducers,
        admission: Admission,
        uploads: Uploads,
        *,
        window_s: float = WINDOW_S,
        silent_s: float = SILENT_S,
    ) -> None:
        self._producers = producers
        self._admission = admission
        self._uploads = uploads
        self._window_s = window_s
        self._silent_s = silent_s

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/api/recordings", self.upload, methods=["POST"]),
            Route("/api/recordings/{session}", self.progress),
            WebSocketRoute("/api/speak", self.speak),
        ]

    async def upload(self, request: Request) -> Response:
        """Take an audio file as the body and `?name=` as its name; answer with its session."""
        try:
            return JSONResponse({"session": await self._take(request)}, 202)
        except Refusal:
            await _read_rest(request)
            raise
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it any more

    async def _take(self, request: Request) -> str:
        """Take a recording and begin to hear it; return its session."""
        with ExitStack() as stack:
            place = stack.enter_context(self._admission.admit())
            # a body of unknown length has none
            place.reserve(int(request.headers.get("content-length", 0)))
            name = _file_name(request.query_params.get("name", ""))
            path = stack.enter_context(self._uploads.file(name))
            await receive(request.stream(), path, place, window_s=self._window_s)
            source = AudioFileSource(path, self._producers.frame_ms, called=path.name)
            stack.push(source)  # before it is open: this task may be cancelled meanwhile
            # refuses a file that is no audio while the visitor waits
            await asyncio.to_thread(source.__enter__)
            session = new_session()
            kept = stack.pop_all()
        try:
            self._producers.begin(source, session, on_end=kept.close)
        except BaseException:
            kept.close()
            raise
        return session

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
            place = self._admission.admit()
            session = self._begin(source, socket.query_params.get("session", ""), place)
        except (BadInput, Refusal) as error:
            await _tell(socket, error=str(error))
            await socket.close()
            return
        try:
            await _tell(socket, session=session)
            while True:
                async with asyncio.timeout(self._silent_s):
                    block = await socket.receive_bytes()
                source.push(block)
        except TimeoutError:
            await socket.close(1001, "nothing came")
        except (WebSocketDisconnect, KeyError):  # KeyError: a text message, which no page sends
            pass
        finally:
            source.finish()

    def _begin(self, source: BrowserMicrophone, wanted: str, place: Place) -> str:
        """Begin to hear a microphone; return its session. Frees the place if that fails."""
        session = wanted if VISITOR_SESSION.fullmatch(wanted) else new_session()
        before = self._producers.find(session)
        if before is not None and not before.is_over:
            session = new_session()  # its earlier speech is still being sent
        try:
            self._producers.begin(source, session, on_end=place.close)
        except BaseException:
            place.close()
            raise
        return session


async def _read_rest(request: Request) -> None:
    """Read the rest of a recording that was refused: else the browser never reads the answer.

    Only for a short while; and not if the sender waits for the answer before it sends the body.
    """
    if "expect" in request.headers:
        return
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # the last: it was read already
        async with asyncio.timeout(READ_REST_S):
            async for _ in request.stream():
                pass


async def _tell(socket: WebSocket, **values: Any) -> None:
    await socket.send_text(json.dumps(values))


def _file_name(name: str) -> str:
    """Turn the visitor's name for a file into a safe file name."""
    safe = clean_source_name(name).replace("/", "_").lstrip(".")
    return safe.encode()[-NAME_MAX:].decode(errors="ignore") or "recording"
