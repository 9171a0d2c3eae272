"""Access to the dashboard: it checks the token and the origin of every request.

It refuses everything that it does not allow, so a new route is protected as well.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

COOKIE_AGE_S: Final = 30 * 86_400
WRONG_TOKEN_PAUSE_S: Final = 1.0
"""The pause after a wrong token. Visitors wait one after the other, so guessing takes too long."""

LOGIN_MAX_BYTES: Final = 8_192

OPEN_TO_ALL: Final = ("/static/", "/login")
"""Paths that everybody may open: they are needed to log in, and show no conversation."""

SAFE_METHODS: Final = ("GET", "HEAD")

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; media-src 'self' blob:; worker-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Access:
    """ASGI middleware around the whole dashboard; `login_page(was_wrong)` makes the login page.

    With an empty `token` visitors need none, and only requests to this machine's own names are
    answered. Otherwise a foreign page could let its own name point here (DNS rebinding).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        port: int,
        origins: Collection[str],
        login_page: Callable[[bool], Response],
    ) -> None:
        self._app = app
        self._token = token.encode()
        # cookies ignore ports: two dashboards on one host must not log each other out
        self._cookie = f"earshot_{port}"
        self._origins = frozenset(origins)
        self._login_page = login_page
        self._guessing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        guest = self._find_guest(HTTPConnection(scope))
        if (refusal := await self._refusal(scope, receive, is_guest=bool(guest))) is None:
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
        visitor = HTTPConnection(scope)
        if _is_unreadable(visitor):
            return JSONResponse({"error": "the Host or Origin header cannot be read"}, 400)
        if why := self._explain_foreign(visitor, is_guest=is_guest):
            return JSONResponse({"error": why}, 403)
        if is_guest and scope["method"] == "OPTIONS":
            return Response(status_code=204)  # the headers are the answer
        if visitor.url.path == "/login" and scope["type"] == "http":
            return await self._login(Request(scope, receive))
        if visitor.url.path.startswith(OPEN_TO_ALL) or self._is_authenticated(visitor):
            return None
        if scope["type"] == "http" and visitor.url.path == "/":
            return self._login_page(False)
        return JSONResponse({"error": "log in, or send the token as a bearer token"}, 401)

    def _explain_foreign(self, visitor: HTTPConnection, *, is_guest: bool) -> str:
        """Return why the origin of a request is refused; empty if it is not."""
        host = visitor.headers.get("host", "")
        if not self._token and not _is_this_machine(host):
            return "without a token, the dashboard answers only to names of this machine: localhost"
        if is_guest:
            return ""
        changes = (
            visitor.scope["type"] == "websocket" or visitor.scope["method"] not in SAFE_METHODS
        )
        origin = visitor.headers.get("origin")
        # programs send none; browsers always do
        if changes and origin is not None and urlsplit(origin).netloc != host:
            return "a page of another origin sent this request"
        if visitor.headers.get("sec-fetch-site") in {"cross-site", "same-site"} and (
            changes or visitor.url.path != "/"
        ):
            return "a page of another origin sent this request"
        return ""

    def _is_authenticated(self, visitor: HTTPConnection) -> bool:
        if not self._token:
            return True
        scheme, _, given = visitor.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._matches(given.strip().encode())
        return self._is_valid_cookie(visitor.cookies.get(self._cookie, ""))

    def _matches(self, given: bytes) -> bool:
        return hmac.compare_digest(given, self._token)

    def _sign(self, expires: str) -> str:
        digest = hmac.new(self._token, f"earshot {expires}".encode(), hashlib.sha256).hexdigest()
        return f"{expires}.{digest}"

    def _is_valid_cookie(self, cookie: str) -> bool:
        expires, _, _ = cookie.partition(".")
        if not (expires.isascii() and expires.isdigit() and len(expires) < 16):
            return False
        expected = self._sign(expires)
        return hmac.compare_digest(cookie.encode(), expected.encode()) and (
            int(expires) > time.time()
        )

    async def _login(self, request: Request) -> Response:
        if not self._token or request.method != "POST":
            return RedirectResponse("/", 303)
        given = parse_qs(await _read_form(request)).get(b"token", [b""])[0]
        if not self._matches(given):
            async with self._guessing:
                await asyncio.sleep(WRONG_TOKEN_PAUSE_S)
            return self._login_page(True)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self._cookie,
            self._sign(str(round(time.time()) + COOKIE_AGE_S)),
            max_age=COOKIE_AGE_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer


async def _read_form(request: Request) -> bytes:
    """Read the login form; empty if it is longer than any token."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LOGIN_MAX_BYTES:
            return b""
    return body


def _is_unreadable(visitor: HTTPConnection) -> bool:
    """Tell whether its Host or Origin is no address; no browser sends that."""
    try:
        urlsplit(f"//{visitor.headers.get('host', '')}")
        urlsplit(visitor.headers.get("origin", ""))
    except ValueError:
        return True
    return False


def _is_this_machine(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


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
