"""The server of the stand-in: its socket, its signals, and the line that says that it is ready."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import FrameType
from typing import Final

import click
import uvicorn

from common.errors import BadSetting
from ops.demo.standin import READY
from ops.demo.standin.app import StandIn
from ops.demo.standin.faults import Control
from ops.demo.standin.parent import Parent

DRAIN_S: Final = 1
"""How long replies may take to end when the server stops."""

KEEP_ALIVE_S: Final = 75
"""How long an idle connection stays open: longer than HTTP clients keep theirs. Otherwise the
server might close a connection just when a client sends a request on it."""

PARENT_CHECK_S: Final = 1
"""How often to check whether the parent lives, for systems on which the kernel sends no signal."""


def open_listener(host: str, port: int) -> socket.socket:
    """Open a listening socket on `host`. Port 0 means any free port.

    Raises BadSetting if the address is in use, or does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise BadSetting(
            f"The stand-in cannot listen on {host} port {port} ({error.strerror or error}): "
            "choose another --host or --port (0 means any free port)."
        ) from error


def base_url(listener: socket.socket) -> str:
    """Return the base URL for OpenAI clients."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def serve(
    listener: socket.socket,
    control: Control,
    *,
    steerable: bool = True,
    parent: Parent | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, or until `parent` is gone. Then return."""
    stand_in = StandIn(control, steerable=steerable)

    async def look_for_parent() -> None:
        if parent is not None and parent.is_gone:
            server.stop()

    config = uvicorn.Config(
        stand_in.app(),
        http="h11",  # the only one that every uvicorn has
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        callback_notify=look_for_parent,
        timeout_notify=PARENT_CHECK_S,
    )
    server = _Server(config, stand_in.stopping.set)
    server.announcement = READY + base_url(listener)
    if parent is not None:
        parent.when_gone(server.stop)
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn, except that `run` returns after a signal instead of dying of it."""

    announcement = ""

    def __init__(self, config: uvicorn.Config, before_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_stop = before_stop

    def stop(self) -> None:
        """Let replies end, then stop. A second call stops without waiting for them."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._before_stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            click.echo(self.announcement)
