"""Access to the dashboard: it checks the token and the origin of every request.

It refuses everything that it does not allow, so a new route is protected as well.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from ops.dashboard.access.cookies import COOKIE_AGE_S, LoginCookies, load_key
from ops.dashboard.access.guess_brake import GuessBrake, TooManyGuesses
from ops.dashboard.access.request_form import explain_bad_form, host_of, is_this_machine

LOGIN_MAX_BYTES: Final = 8_192
LOGIN: Final = "/login"
OPEN_TO_ALL: Final = "/static/"
"""The files below show no conversation, and the login page needs them."""

SAFE_METHODS: Final = ("GET", "HEAD")

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; media-src 'self' blob:; worker-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    # not no-referrer: with it, browsers name the origin of the login form `null` (Fetch standard)
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

WRONG_TOKEN: Final = "Wrong token. Try again."
FOREIGN: Final = "a page of another origin sent this request"


class Access:
    """ASGI middleware around the whole dashboard; `login_page(why)` makes the login page.

    With an empty `token` visitors need none, and only requests to this machine's own names are
    answered. Otherwise a foreign page could let its own name point here (DNS rebinding).
    `key_file` holds the key of the cookies, and is made if it is not there.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        port: int,
        origins: Collection[str],
        key_file: Path,
        login_page: Callable[[str], Response],
    ) -> None:
        self._app = app
        self._digest = hashlib.sha256(token.encode()).digest() if token else b""
        self._cookies = LoginCookies(
            token.encode(), load_key(key_file) if token else b"", port=port
        )
        self._origins = frozenset(origins)
        self._login_page = login_page
        self._brake = GuessBrake()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        guest = self._find_guest(HTTPConnection(scope))
        try:
            refusal = await self._refusal(scope, receive, is_guest=bool(guest))
        except TooManyGuesses as error:
            refusal = _refuse_guess(error)
        if refusal is None:
            await self._app(scope, receive, _add_headers(send, guest))
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, _add_headers(send, guest))

    def _find_guest(self, visitor: HTTPConnection) -> str:
        """Return the allowed foreign origin of a request; empty if there is none."""
        origin = visitor.headers.get("origin", "")
        reads = visitor.scope.get("method") in (*SAFE_METHODS, "OPTIONS")
        return origin if reads and origin in self._origins else ""

    async def _refusal(self, scope: Scope, receive: Receive, *, is_guest: bool) -> Response | None:
        """Return the answer to a forbidden request or to the login; None to let it pass."""
        if why := explain_bad_form(scope):
            return JSONResponse({"error": why}, 400)
        visitor = HTTPConnection(scope)
        if why := self._explain_foreign(visitor, is_guest=is_guest):
            return JSONResponse({"error": why}, 403)
        path: str = scope["path"]
        if is_guest and scope["method"] == "OPTIONS":
            return Response(status_code=204)  # the headers are the answer
        if path == LOGIN and scope["type"] == "http":
            return await self._login(Request(scope, receive))
        if path.startswith(OPEN_TO_ALL) or await self._is_authenticated(visitor):
            return None
        if scope["type"] == "http" and path == "/":
            return self._login_page("")
        return JSONResponse({"error": "log in, or send the token as a bearer token"}, 401)

    def _explain_foreign(self, visitor: HTTPConnection, *, is_guest: bool) -> str:
        """Return why the origin of a request is refused; empty if it is not."""
        host = host_of(visitor.scope)
        if not self._digest and not is_this_machine(host):
            return "without a token, the dashboard answers only to names of this machine: localhost"
        if is_guest:
            return ""
        changes = (
            visitor.scope["type"] == "websocket" or visitor.scope["method"] not in SAFE_METHODS
        )
        origin = visitor.headers.get("origin")
        # programs send none; browsers always do
        if changes and origin is not None and not _is_own(origin, host):
            return FOREIGN
        if visitor.headers.get("sec-fetch-site") in {"cross-site", "same-site"} and (
            changes or visitor.scope["path"] != "/"
        ):
            return FOREIGN
        return ""

    async def _is_authenticated(self, visitor: HTTPConnection) -> bool:
        """Tell whether a request has the token or a cookie; raises TooManyGuesses."""
        if not self._digest:
            return True
        scheme, _, given = visitor.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and given.strip():
            return await self._is_token(given.strip().encode(), visitor.scope)
        return self._cookies.is_valid(visitor.cookies.get(self._cookies.name, ""))

    async def _is_token(self, given: bytes, scope: Scope) -> bool:
        """Tell whether it is the token; wrong ones make their sender wait."""
        client = scope.get("client")
        return await self._brake.judge(
            client[0] if client else "",
            # of equal length, so that the time of the comparison tells nothing of the token
            lambda: hmac.compare_digest(hashlib.sha256(given).digest(), self._digest),
        )

    async def _login(self, request: Request) -> Response:
        if not self._digest or request.method != "POST":
            return RedirectResponse("/", 303)
        given = parse_qs(await _read_form(request)).get(b"token", [b""])[0]
        try:
            if not await self._is_token(given, request.scope):
                return self._login_page(WRONG_TOKEN)
        except TooManyGuesses as error:
            return _refuse_guess(error, self._login_page(f"{str(error).capitalize()}."))
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self._cookies.name,
            self._cookies.make(),
            max_age=COOKIE_AGE_S,
            httponly=True,
            samesite="strict",
            secure=request.scope["scheme"] == "https",
        )
        return answer


def _refuse_guess(error: TooManyGuesses, answer: Response | None = None) -> Response:
    """Make the answer to a token that was not looked at: `answer`, or the error as JSON."""
    answer = answer or JSONResponse({"error": str(error)})
    answer.status_code = 429
    answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer


async def _read_form(request: Request) -> bytes:
    """Read the login form; empty if it is longer than any token."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LOGIN_MAX_BYTES:
            return b""
    return body


def _is_own(origin: str, host: str) -> bool:
    """Tell whether an origin is the one of this host; `null` and the empty one never are."""
    parts = urlsplit(origin)
    return bool(host) and parts.scheme in {"http", "https"} and parts.netloc == host


def _add_headers(send: Send, guest: str) -> Send:
    """Add the headers of every answer, and those that let a page of `guest` read it."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
            if guest:
                headers["Access-Control-Allow-Origin"] = guest
                headers["Access-Control-Allow-Headers"] = "authorization, last-event-id"
                headers["Cross-Origin-Resource-Policy"] = "cross-origin"
                headers.add_vary_header("Origin")
        await send(message)

    return send_with_headers
