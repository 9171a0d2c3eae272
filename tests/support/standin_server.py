"""A real stand-in LLM in a process of its own, for tests that need an LLM server.

    with StandIn("--first-token-ms", "5") as llm:
        llm.control(fail={"status": 503, "count": 1})
        ...
        assert llm.requests()[-1].messages[-1]["content"] == "hello"

It also works with ``async with``. `kill` and `start` bring the server down and
back up on the same port.
"""

from __future__ import annotations

import asyncio
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from ops.demo.standin import READY
from ops.demo.standin.ledger import Entry, Listing
from tests.support.repository import ROOT

START_S = 30
"""Patience for a start on a busy machine, s."""

STOP_S = 15
"""Patience for a clean stop, s."""

TEN_WORDS = "one two three four five six seven eight nine ten"
"""A reply of ten tokens: the stand-in counts one for each word."""


class StandIn:
    """A stand-in LLM server; `options` are those of ``python -m ops.demo.standin``."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._http = httpx.Client(trust_env=False, timeout=STOP_S)

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"{self.origin}/v1"

    @property
    def process(self) -> subprocess.Popen[str]:
        """The server's process, also when it has ended."""
        assert self._process is not None, "the stand-in was not started"
        return self._process

    def start(self) -> Self:
        """Start the server and wait until it is ready; the port stays the same from then on."""
        command = [
            sys.executable,
            "-m",
            "ops.demo.standin",
            "--with-parent",
            "--port",
            str(self._port),
        ]
        self._process = subprocess.Popen(
            [*command, *self._options], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], START_S)[0]:
            self.kill()
            raise AssertionError(f"the stand-in was not ready within {START_S} s")
        line = self._process.stdout.readline().strip()
        assert line.startswith(READY), f"the stand-in said {line!r} instead of that it is ready"
        port = httpx.URL(line.removeprefix(READY)).port
        assert port is not None
        self._port = port
        return self

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Ask the server to stop and wait for it: its exit status."""
        self.process.send_signal(sig)
        return self._reap()

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would."""
        self.process.kill()
        self._reap()

    def control(self, **knobs: Any) -> dict[str, Any]:
        """Set knobs (see `standin.faults.Control`), the others stay: all as they are now."""
        return self._ask("POST", "/control", json=knobs)

    def reset(self) -> None:
        """All knobs as at the start, and the requests so far forgotten."""
        self._ask("DELETE", "/control")
        self._ask("DELETE", "/requests")

    def requests(self) -> list[Entry]:
        """The chat requests that reached the server, oldest first."""
        return self.listing().requests

    def listing(self) -> Listing:
        """The requests with their counts."""
        return Listing.model_validate(self._ask("GET", "/requests"))

    def wait_for(
        self, condition: Callable[[Listing], object], *, within_s: float = STOP_S
    ) -> Listing:
        """Wait until `condition` holds for the listing; blocking."""
        deadline = time.monotonic() + within_s
        while not condition(listing := self.listing()):
            assert time.monotonic() < deadline, f"not within {within_s} s: {listing}"
            time.sleep(0.02)
        return listing

    def _ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = self._http.request(method, self.origin + path, **body)
        assert answer.is_success, answer.text
        parsed: dict[str, Any] = answer.json()
        return parsed

    def _reap(self) -> int:
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
        return status

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        self._http.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)
