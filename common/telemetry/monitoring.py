"""/metrics, /healthz and /readyz of a process, over HTTP from a thread of its own.

A role on asyncio wraps its work:

    async with serve_monitoring(settings.metrics, ready=loop.explain_not_ready):
        ...

`ready` is a coroutine function that returns why the role cannot work now, or "" if it can. It runs
in the role's event loop, so /readyz fails when that loop is stuck. /healthz only checks that the
loop still runs. A role without an event loop uses `serve_pages` with plain functions. All metrics
of prometheus_client are shown; `collectors` make further ones at each scrape.

If the port is taken, the process works without these pages, and the log says so once.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final, TypeVar
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import REGISTRY, make_wsgi_app
from prometheus_client.registry import Collector

from common.settings import MetricsSettings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Answer = TypeVar("Answer")

Check = Callable[[], str]
"""Returns what is wrong, in a sentence; empty: nothing is."""

STUCK_S: Final = 10.0
"""An event loop that has run nothing for this long is stuck: every normal step takes less."""

READY_S: Final = 3.0
"""The limit for a role to say whether it is ready: probes wait for about 5 s."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def serve_monitoring(
    settings: MetricsSettings,
    *,
    ready: Callable[[], Coroutine[Any, Any, str]],
    collectors: Sequence[Collector] = (),
) -> AsyncIterator[None]:
    """Serve the pages of an asyncio role while the context is open; none with port 0."""
    loop = asyncio.get_running_loop()

    def alive() -> str:
        return _check_in_loop(
            loop, _do_nothing, STUCK_S, f"the event loop has not turned for {STUCK_S:g} s"
        )

    def is_ready() -> str:
        return _check_in_loop(loop, ready, READY_S, f"no answer from the process for {READY_S:g} s")

    with serve_pages(settings, alive=alive, ready=is_ready, collectors=collectors):
        yield


@contextmanager
def serve_pages(
    settings: MetricsSettings,
    *,
    alive: Check,
    ready: Check,
    collectors: Sequence[Collector] = (),
) -> Iterator[None]:
    """Serve the pages while the context is open; none with port 0. The checks run in threads."""
    with ExitStack() as stack:
        if settings.port:
            for collector in collectors:
                REGISTRY.register(collector)
                stack.callback(REGISTRY.unregister, collector)
            try:
                server = make_server(
                    settings.host, settings.port, _make_app(alive, ready), _Server, _SilentHandler
                )
            except (OSError, OverflowError) as error:
                log.warning(
                    "metrics_not_served",
                    address=f"{settings.host}:{settings.port}",
                    why=str(error),
                    setting="EARSHOT_METRICS__PORT",
                )
            else:
                threading.Thread(target=server.serve_forever, name="pages", daemon=True).start()
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
                log.info("metrics_served", url=f"http://{settings.host}:{settings.port}/metrics")
        yield


def run_in_loop(
    loop: asyncio.AbstractEventLoop,
    ask: Callable[[], Coroutine[Any, Any, Answer]],
    limit_s: float,
) -> Answer:
    """Run a coroutine function in another thread's loop; raises TimeoutError after `limit_s`."""
    future = asyncio.run_coroutine_threadsafe(ask(), loop)
    try:
        return future.result(limit_s)
    except TimeoutError:
        future.cancel()
        raise


def _check_in_loop(
    loop: asyncio.AbstractEventLoop,
    ask: Callable[[], Coroutine[Any, Any, str]],
    limit_s: float,
    no_answer: str,
) -> str:
    try:
        return run_in_loop(loop, ask, limit_s)
    except TimeoutError:
        return no_answer


async def _do_nothing() -> str:
    return ""


def _make_app(alive: Check, ready: Check) -> "WSGIApplication":
    metrics: WSGIApplication = make_wsgi_app()

    def pages(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                return metrics(environ, start)
            case "/healthz":
                return _report_check(alive(), start)
            case "/readyz":
                return _report_check(ready(), start)
        return _respond("404 Not Found", "there are /metrics, /healthz and /readyz", start)

    return pages


def _report_check(why_not: str, start: "StartResponse") -> Iterable[bytes]:
    return _respond("503 Service Unavailable" if why_not else "200 OK", why_not or "ok", start)


def _respond(status: str, text: str, start: "StartResponse") -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode() + b"\n"]


class _Server(ThreadingMixIn, WSGIServer):
    # a slow reader of one page must not hold up other readers or the end of the process
    daemon_threads = True
    block_on_close = False
    # the second of two workers on one port must fail to bind it
    allow_reuse_port = False


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Log nothing: there is a scrape every few seconds."""
