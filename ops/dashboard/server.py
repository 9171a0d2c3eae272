"""The dashboard's web server: its address, its start and its end."""

import asyncio
import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from common.errors import BadSetting
from common.settings import DashboardSettings
from common.settings.loading import variable_of

LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = "0.0.0.0"
DRAIN_S: Final = 2
LOOPBACKS: Final = ("127.0.0.1", "::1", "localhost")

log = structlog.get_logger(__name__)


def choose_address(settings: DashboardSettings) -> str:
    """Choose the address to listen on: without a token only this machine can reach it."""
    if settings.token.get_secret_value():
        return settings.host or EVERYWHERE
    return settings.host if settings.host in LOOPBACKS else LOOPBACK


def log_who_is_served(settings: DashboardSettings) -> None:
    """Log why only this machine is served, if so."""
    if settings.token.get_secret_value():
        return
    missing = f"there is no {variable_of('dashboard.token')}"
    if settings.host in {"", *LOOPBACKS}:
        log.info("only_this_machine_is_served", why=f"{missing}: set one to let others in")
        return
    log.warning(
        "only_this_machine_is_served",
        why=f"{variable_of('dashboard.host')} is {settings.host}, but {missing}: everybody who can"
        " open the page can read every conversation, so only this machine is served",
    )


def open_listener(host: str, port: int) -> socket.socket:
    """Open a listening socket; raises BadSetting if the address is taken or not this machine's."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        assert kind == socket.SOCK_STREAM
        return socket.create_server(where[:2], family=family, backlog=1024)
    except (OSError, UnicodeError) as error:  # UnicodeError: this is no host name at all
        errno = getattr(error, "errno", None) or 0
        why = os.strerror(errno) if errno > 0 else getattr(error, "strerror", "") or str(error)
        raise BadSetting(
            f"the dashboard cannot listen on {host} port {port} ({why}):"
            f" {variable_of('dashboard.host')} must be an address of this machine, and"
            f" {variable_of('dashboard.port')} a free port"
        ) from None


def page_url(listener: socket.socket) -> str:
    """Return the URL to open on this machine."""
    host, port = listener.getsockname()[:2]
    if host in {EVERYWHERE, "::"}:
        host = LOOPBACK
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


async def serve(
    app: ASGIApp, listener: socket.socket, stop: asyncio.Event, closing: Callable[[], None]
) -> None:
    """Serve until `stop` is set; then call `closing`, which ends the streams."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="websockets-sansio",
        ws_max_size=2**16,
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="warning",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        closing()
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the role handles signals."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
