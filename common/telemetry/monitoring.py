"""/metrics, /healthz and /readyz of a process, over HTTP from a thread of its own.

A role on asyncio registers with one call around its work:

    async with monitored(settings.metrics, ready=loop.unready):
        ...

`ready` is a coroutine function that answers why the role cannot do its work now, or "" if it can.
It runs in the role's event loop, so /readyz also finds out when that is stuck; /healthz asks no
more than whether the loop still turns. A role without an event loop uses `served` with plain
functions. Metrics need no registering: whatever was made with prometheus_client is shown, and
`collectors` are for what must be asked for at each scrape.

A port that is taken costs the page, not the process: it is said once in the log.
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
"""Why not, in a sentence; empty: all is well."""

STUCK_S: Final = 10.0
"""An event loop that has run nothing for so long is stuck: the longest honest step takes less."""

READY_S: Final = 3.0
"""How long a role may take to say whether it is ready: probes give up after 5 s or so."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def monitored(
    settings: MetricsSettings,
    *,
    ready: Callable[[], Coroutine[Any, Any, str]],
    collectors: Sequence[Collector] = (),
) -> AsyncIterator[None]:
    """Serve the pages of an asyncio role while the context is open; nothing with port 0."""
    loop = asyncio.get_running_loop()

    def alive() -> str:
        return _asked(loop, _nothing, STUCK_S, f"the event loop has not turned for {STUCK_S:g} s")

    def is_ready() -> str:
        return _asked(loop, ready, READY_S, f"no answer from the process for {READY_S:g} s")

    with served(settings, alive=alive, ready=is_ready, collectors=collectors):
        yield


@contextmanager
def served(
    settings: MetricsSettings,
    *,
    alive: Check,
    ready: Check,
    collectors: Sequence[Collector] = (),
) -> Iterator[None]:
    """Serve the pages while the context is open; nothing with port 0. The checks run in threads."""
    with ExitStack() as stack:
        if settings.port:
            for collector in collectors:
                REGISTRY.register(collector)
                stack.callback(REGISTRY.unregister, collector)
            try:
                server = make_server(
                    settings.host, settings.port, _pages(alive, ready), _Server, _Quiet
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


def from_thread(
    loop: asyncio.AbstractEventLoop,
    ask: Callable[[], Coroutine[Any, Any, Answer]],
    limit_s: float,
) -> Answer:
    """Run a coroutine function in a loop of another thread; raises TimeoutError after `limit_s`."""
    future = asyncio.run_coroutine_threadsafe(ask(), loop)
    try:
        return future.result(limit_s)
    except TimeoutError:
        future.cancel()
        raise


def _asked(
    loop: asyncio.AbstractEventLoop,
    ask: Callable[[], Coroutine[Any, Any, str]],
    limit_s: float,
    no_answer: str,
) -> str:
    try:
        return from_thread(loop, ask, limit_s)
    except TimeoutError:
        return no_answer


async def _nothing() -> str:
    return ""


def _pages(alive: Check, ready: Check) -> "WSGIApplication":
    metrics: WSGIApplication = make_wsgi_app()

    def pages(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                return metrics(environ, start)
            case "/healthz":
                return _verdict(alive(), start)
            case "/readyz":
                return _verdict(ready(), start)
        return _text("404 Not Found", "there are /metrics, /healthz and /readyz", start)

    return pages


def _verdict(why_not: str, start: "StartResponse") -> Iterable[bytes]:
    return _text("503 Service Unavailable" if why_not else "200 OK", why_not or "ok", start)


def _text(status: str, text: str, start: "StartResponse") -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode() + b"\n"]


class _Server(ThreadingMixIn, WSGIServer):
    # a slow reader of one page must not keep others, nor the process, waiting
    daemon_threads = True
    block_on_close = False
    # two workers on one port: the second must notice
    allow_reuse_port = False


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Nothing: a scrape every few seconds is no news."""
