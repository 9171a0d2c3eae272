"""The HTTP interface of the stand-in: the endpoints of vLLM, and some to control it."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ops.demo.standin import bodies
from ops.demo.standin.api import errors, tokens
from ops.demo.standin.api.protocol import ChatRequest, TokenizeRequest
from ops.demo.standin.completion import check_roles, plan
from ops.demo.standin.faults import Control, Failure
from ops.demo.standin.http_answer import StreamedAnswer, WholeAnswer
from ops.demo.standin.ledger import KEPT, Entry, Ledger
from ops.demo.standin.pacing import Pace
from ops.demo.standin.prepared import Endpoint, PreparedAnswer, find_prepared

Body = TypeVar("Body", bound=BaseModel)


class StandIn:
    """The state of one stand-in server, and the handlers of its requests.

    `steerable` adds `/control` and `/requests` for demos and tests on one machine. They need no
    key. Without them no request is remembered.
    """

    def __init__(self, control: Control, *, steerable: bool = True) -> None:
        self._initial = control
        self._control = control
        self._created = int(time.time())
        self._steerable = steerable
        self._ledger = Ledger(keep=KEPT if steerable else 0)
        self.stopping = asyncio.Event()
        """Set when the server stops. Replies that have begun then come to an end."""

    def app(self) -> Starlette:
        """Make the ASGI application."""
        routes = [
            Route("/health", self.health),
            Route("/v1/models", self.models),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/tokenize", self.tokenize, methods=["POST"]),
        ]
        if self._steerable:
            routes += [
                Route("/control", self.get_control),
                Route("/control", self.change_control, methods=["POST"]),
                Route("/control", self.reset_control, methods=["DELETE"]),
                Route("/requests", self.get_requests),
                Route("/requests", self.clear_requests, methods=["DELETE"]),
            ]
        return Starlette(routes=routes, exception_handlers={HTTPException: errors.answer_refusal})

    async def health(self, request: Request) -> Response:
        """Answer 200 with an empty body, as vLLM does."""
        self._fail_if_everywhere()
        return Response()

    async def models(self, request: Request) -> Response:
        """List the served models with the size of their window."""
        self._check_key(request)
        self._fail_if_everywhere()
        if (prepared := self._take_prepared("models", {})) is not None:
            return prepared.response()
        return JSONResponse(
            bodies.model_list(self._control.models, self._control.max_model_len, self._created)
        )

    async def tokenize(self, request: Request) -> Response:
        """Count the tokens of a prompt or of messages. As with vLLM, this needs no key."""
        self._fail_if_everywhere()
        body = await _json_body(request)
        if (prepared := self._take_prepared("tokenize", body)) is not None:
            return prepared.response()
        asked = _parse(TokenizeRequest, body)
        if asked.model is not None and asked.model not in self._control.models:
            raise errors.wrong_model(asked.model, self._control.models)
        if asked.messages is None:
            prompt = asked.prompt or ""
        else:
            if self._control.reject_system_role:
                check_roles(asked.messages)
            prompt = tokens.chat_prompt((m.role, m.text) for m in asked.messages)
        return JSONResponse(bodies.tokenize_body(prompt, self._control.max_model_len))

    async def chat(self, request: Request) -> Response:
        """Answer a conversation, as a stream or in one piece."""
        entry = self._ledger.arrive(request.headers)
        try:
            return await self._begin(request, entry)
        except HTTPException as refusal:
            entry.status = refusal.status_code
            self._ledger.end(entry)
            raise
        except ClientDisconnect:
            self._ledger.end(entry, aborted=True)
            return Response()

    async def _begin(self, request: Request, entry: Entry) -> Response:
        self._check_key(request)
        body = await _json_body(request)
        self._ledger.describe(entry, body)
        control = self._control.for_request(_newest_message(body))
        is_common = control is self._control
        if (prepared := self._take_prepared("chat", body)) is not None:
            entry.status = prepared.status
            self._ledger.end(entry)
            return prepared.response()
        if control.fail is not None:
            if is_common:
                self._control = control.after_refusal()
            raise _failure(control.fail, control.retry_after_s)
        asked = _parse(ChatRequest, body)
        completion = plan(asked, control)
        if is_common:
            self._control = control.after_reply()
        answer = StreamedAnswer if asked.stream else WholeAnswer
        return answer(
            completion,
            Pace(control.first_token_ms / 1000, 1 / control.tokens_per_s),
            entry=entry,
            ledger=self._ledger,
            stopping=self.stopping,
        )

    async def get_control(self, request: Request) -> Response:
        """Return the present controls. The key is masked."""
        return _json_response(self._control)

    async def change_control(self, request: Request) -> Response:
        """Set the controls that the body names. The others stay."""
        patch = await _json_body(request)
        try:
            self._control = self._control.with_changes(patch)
        except ValidationError as error:
            raise errors.invalid_body(error) from error
        return _json_response(self._control)

    async def reset_control(self, request: Request) -> Response:
        """Set all controls as they were at the start."""
        self._control = self._initial
        return _json_response(self._control)

    async def get_requests(self, request: Request) -> Response:
        """Return the last chat requests, and how they ended."""
        return _json_response(self._ledger.listing())

    async def clear_requests(self, request: Request) -> Response:
        """Forget all requests."""
        self._ledger.clear()
        return _json_response(self._ledger.listing())

    def _take_prepared(self, endpoint: Endpoint, body: dict[str, Any]) -> PreparedAnswer | None:
        """Return the prepared answer that fits a request, and count it."""
        found = find_prepared(self._control.prepared, endpoint, body)
        if found is not None:
            self._control = self._control.after_prepared(found)
        return found

    def _check_key(self, request: Request) -> None:
        if self._control.api_key is None:
            return
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        expected = self._control.api_key.get_secret_value()
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.encode(), expected.encode()):
            raise errors.Unauthorized

    def _fail_if_everywhere(self) -> None:
        fail = self._control.fail
        if fail is not None and fail.everywhere:
            raise _failure(fail, self._control.retry_after_s)


def _newest_message(body: Any) -> str:
    """Return the text of the last message of a request that was not validated yet."""
    try:
        return str(body["messages"][-1]["content"])
    except (TypeError, KeyError, IndexError):
        return ""


def _failure(fail: Failure, retry_after_s: float | None) -> errors.Refusal:
    message = fail.message or f"The stand-in was told to answer {fail.status}."
    headers = None if retry_after_s is None else {"retry-after": f"{retry_after_s:g}"}
    return errors.Refusal(fail.status, message, headers=headers)


async def _json_body(request: Request) -> dict[str, Any]:
    # The content type keeps foreign web pages out, because a browser does not let them send it.
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise errors.Refusal(400, "Unsupported media type: only 'application/json' is allowed.")
    try:
        body = from_json(await request.body())
    except ValueError as error:
        raise errors.Refusal(400, f"The body is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise errors.Refusal(400, "The body must be a JSON object.")
    return body


def _parse(model: type[Body], body: dict[str, Any]) -> Body:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise errors.invalid_body(error) from error


def _json_response(record: BaseModel) -> Response:
    return Response(record.model_dump_json(), media_type="application/json")
