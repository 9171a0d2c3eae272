"""The dashboard's ASGI app: routes, pages and error answers."""

from collections.abc import Collection, Iterable
from html import escape
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from common.errors import BadEntry, BadInput, EarshotError, Refused
from ops.dashboard.access.middleware import Access
from ops.dashboard.visitors.admission import Refusal

STATIC: Final = Path(__file__).parent / "static"

FRESH: Final = {"Cache-Control": "no-cache"}
"""The browser must ask each time whether the file has changed."""


def dashboard_app(
    routes: Iterable[BaseRoute],
    *,
    token: str,
    port: int,
    key_file: Path,
    origins: Collection[str] = (),
) -> Starlette:
    """Make the app: `routes` behind the token, and the page itself.

    `key_file` is where the key of the login cookies is kept.
    """
    app = Starlette(
        routes=[
            Route("/", _page),
            Mount("/static", _Static(directory=STATIC)),
            *routes,
        ],
        middleware=[
            Middleware(
                Access,
                token=token,
                port=port,
                origins=origins,
                key_file=key_file,
                login_page=_login_page,
            ),
            Middleware(GZipMiddleware, compresslevel=5),
        ],
        exception_handlers={EarshotError: _answer_error},
    )
    app.router.redirect_slashes = False  # the address of a redirect would be made of the Host
    return app


class _Static(StaticFiles):
    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]  # handed on as is
        answer.headers.update(FRESH)
        return answer


async def _page(_request: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers=FRESH)


def _login_page(why: str) -> Response:
    page = (STATIC / "login.html").read_text(encoding="utf-8")
    if why:
        page = page.replace(" hidden></p>", f">{escape(why)}</p>")
        page = page.replace('aria-invalid="false"', 'aria-invalid="true"')
    return HTMLResponse(page, 401, headers={"Cache-Control": "no-store"})


async def _answer_error(_request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        again = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
        return JSONResponse({"error": str(error)}, error.status, headers=again)
    wrong = isinstance(error, (BadInput, BadEntry))
    return JSONResponse(
        {"error": str(error)}, 400 if wrong else 409 if isinstance(error, Refused) else 503
    )
