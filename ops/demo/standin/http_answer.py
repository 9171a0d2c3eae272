"""The HTTP answer to a request: it sends a planned completion, as a stream or in one piece.

`wit/replies.py` chooses the words of the completion.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ops.demo.standin import bodies
from ops.demo.standin.api import errors
from ops.demo.standin.completion import Completion, Ending
from ops.demo.standin.ledger import Entry, Ledger
from ops.demo.standin.pacing import Pace, release_on_time

_SHORT_S: Final = 0.1
"""Longer pauses end early when the server stops; shorter ones do not."""


class Answer(Response, ABC):
    """Sends one completion at its pace, and notes in the ledger what happens.

    When the client closes the connection, the answer stops at once, and the entry is marked as
    aborted. When `stopping` is set, because the server stops, the reply ends with the finish reason
    `abort`, as replies of vLLM may.
    """

    def __init__(
        self,
        completion: Completion,
        pace: Pace,
        *,
        entry: Entry,
        ledger: Ledger,
        stopping: asyncio.Event,
    ) -> None:
        super().__init__()
        self.completion = completion
        self.envelope = bodies.Envelope(completion, entry.number, int(time.time()))
        self.finish_reason = completion.finish_reason
        self._pace = pace
        self._entry = entry
        self._ledger = ledger
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer. If the body is not complete, uvicorn closes the connection."""
        try:
            client_left = await _run_until_client_leaves(self._answer(send), receive)
            self._ledger.end(self._entry, aborted=client_left)
        finally:
            self._ledger.end(self._entry)

    @abstractmethod
    async def send_tokens_and_end(self, send: Send) -> None:
        """Send headers, tokens and ending, each at its time."""

    async def start(self, send: Send, status: int, media_type: str, *, length: int = 0) -> None:
        """Send the headers. With a `length` (bytes) the body is not chunked."""
        self._entry.status = status
        headers = [(b"content-type", media_type.encode())]
        if length:
            headers.append((b"content-length", str(length).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def tokens(self) -> AsyncGenerator[str, None]:
        """Yield the text of each token, or of several tokens, when it is due."""
        async with aclosing(
            release_on_time(self.completion.pieces, self._pace, sleep=self._pause)
        ) as batches:
            async for batch in batches:
                yield self._note(batch)
                if self._stopping.is_set():
                    self.finish_reason = "abort"
                    return

    @property
    def sent_tokens(self) -> int:
        """How many tokens were sent."""
        return self._entry.tokens

    def complete(self) -> None:
        """Note that the client has all of the answer: it may leave now."""
        if self.completion.ending is Ending.FINISH:
            self._entry.finish_reason = self.finish_reason
        self._ledger.end(self._entry)

    async def silence(self) -> None:
        """Wait until the client leaves or the server stops."""
        await self._stopping.wait()

    async def _answer(self, send: Send) -> None:
        if self.completion.mute:
            await self.silence()
        else:
            await self.send_tokens_and_end(send)

    async def _pause(self, seconds: float) -> None:
        if seconds < _SHORT_S:
            await asyncio.sleep(seconds)
            return
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _note(self, pieces: Sequence[str]) -> str:
        text = "".join(pieces)
        self._ledger.token(self._entry, text, len(pieces))
        return text


class StreamedAnswer(Answer):
    """The completion as server-sent events."""

    async def send_tokens_and_end(self, send: Send) -> None:
        """Send the role chunk with the first token, more chunks, and the planned ending."""
        await self.start(send, 200, "text/event-stream; charset=utf-8")
        # like vLLM, it sends the role chunk only when there is a first token
        opening = self.envelope.chunk({"role": "assistant", "content": ""})
        async with aclosing(self.tokens()) as texts:
            async for text in texts:
                await _send_more(send, opening + self.envelope.chunk({"content": text}))
                opening = b""
        match self.completion.ending:
            case Ending.FINISH:
                self.complete()
                await _send_last(send, opening + self._finish())
            case Ending.BARE:
                self.complete()
                await _send_last(send, opening)
            case Ending.ERROR:
                self.complete()
                error = bodies.to_sse(errors.error_body(500, errors.ENGINE_DEAD))
                await _send_last(send, error + bodies.DONE)
            case Ending.SILENCE:
                await self.silence()
            case Ending.DROP:
                return

    def _finish(self) -> bytes:
        last = self.envelope.chunk({"content": ""}, self.finish_reason)
        if self.completion.usage_chunk:
            last += self.envelope.usage_chunk(self.sent_tokens)
        return last + bodies.DONE


class WholeAnswer(Answer):
    """The completion as one JSON body, which is sent when the last token is due."""

    async def send_tokens_and_end(self, send: Send) -> None:
        """Wait for all tokens, then send as much of the answer as the planned ending allows."""
        async with aclosing(self.tokens()) as texts:
            text = "".join([text async for text in texts])
        status = 200
        match self.completion.ending:
            case Ending.FINISH:
                body = self.envelope.whole(text, self.sent_tokens, self.finish_reason)
            case Ending.BARE:
                body = self.envelope.whole(text, self.sent_tokens, None)
            case Ending.ERROR:
                status, body = 500, bodies.to_json(errors.error_body(500, errors.ENGINE_DEAD))
            case Ending.SILENCE:
                return await self.silence()
            case Ending.DROP:
                await self.start(send, status, "application/json", length=1)
                return None
        self.complete()
        await self.start(send, status, "application/json", length=len(body))
        await _send_last(send, body)
        return None


async def _send_more(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _send_last(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _run_until_client_leaves(work: Coroutine[Any, Any, None], receive: Receive) -> bool:
    """Run `work`, and cancel it when the client leaves; return whether the client has left."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_wait_until_client_leaves(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return True
        working.result()
        return False
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _wait_until_client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
