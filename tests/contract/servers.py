"""The LLM servers that the contract is tested with: the stand-in, and a real vLLM with a model that
was made for it. Both serve TINY with a window of WINDOW tokens, ask for KEY, and give replies that
are as long as `max_tokens`."""

import os
import re
import signal
import socket
import subprocess
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import httpx

from common.closeable import Closeable
from tests.contract import tiny_model
from tests.support.repository import ROOT
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

TINY: Final = "tiny"
WINDOW: Final = 2_048
KEY: Final = "open-sesame"

VLLM: Final = ROOT / ".venv-vllm" / "bin" / "vllm"
# Importing torch alone takes half a minute on a busy machine, and three processes do.
START_S: Final = 400.0
STOP_S: Final = 30.0
# Nothing is fetched, nothing is told to anybody.
ENVIRONMENT: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}


class Served(Closeable):
    """A server that can be killed and started again on its port."""

    base_url: str

    @abstractmethod
    def start(self) -> None:
        """Start it, and wait until it answers."""

    @abstractmethod
    def kill(self) -> None:
        """SIGKILL to all of it."""

    @abstractmethod
    def generating(self) -> int:
        """Requests in work now."""

    @abstractmethod
    def generated(self) -> int:
        """Tokens of replies since its start."""

    @contextmanager
    def slowly(self) -> Iterator[None]:
        """Where the speed can be chosen, so slow that a reply in the making can be watched."""
        yield

    def wait_for(self, condition: Callable[[Self], object]) -> None:
        """Until it is true of this server; blocking."""
        until_sync(lambda: condition(self))

    def __enter__(self) -> Self:
        self.start()
        return self


class ServedByStandIn(Served):
    """Fast, but for replies that are to be watched."""

    def __init__(self, *, system_role: bool = True) -> None:
        options = ["--model", TINY, "--max-model-len", str(WINDOW), "--api-key", KEY]
        options += ["--first-token-ms", "1", "--tokens-per-s", "4000"]
        self._standin = StandIn(*options, *([] if system_role else ["--reject-system-role"]))

    def start(self) -> None:
        self._standin.start()
        self.base_url = self._standin.base_url
        self._standin.control(reply="so it goes " * WINDOW)

    def kill(self) -> None:
        self._standin.kill()

    @contextmanager
    def slowly(self) -> Iterator[None]:
        self._standin.control(tokens_per_s=20)
        yield
        if self._standin.process.poll() is None:
            self._standin.control(tokens_per_s=4000)

    def generating(self) -> int:
        return self._standin.listing().active

    def generated(self) -> int:
        return sum(request.tokens for request in self._standin.requests())

    def close(self) -> None:
        self._standin.__exit__(None, None, None)


class ServedByVllm(Served):
    """`make test-vllm` has installed it. Its log lies in `folder`."""

    def __init__(self, folder: Path, *, system_role: bool = True) -> None:
        self._model = tiny_model.make(folder / "model", system_role=system_role)
        self._log = folder / "vllm.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._origin = f"http://127.0.0.1:{port}"
        self.base_url = f"{self._origin}/v1"
        self._argv = [
            *(str(VLLM), "serve", str(self._model), "--served-model-name", TINY),
            *("--load-format", "dummy", "--dtype", "float32", "--enforce-eager"),
            *("--max-model-len", str(WINDOW), "--max-num-seqs", "8"),
            *("--gpu-memory-utilization", "0.2", "--api-key", KEY),
            *("--host", "127.0.0.1", "--port", str(port)),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(base_url=self._origin, trust_env=False, timeout=STOP_S)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env=os.environ | ENVIRONMENT,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its processes end with it, by their group
            )
        deadline = time.monotonic() + START_S
        while not self._healthy():
            assert self._process.poll() is None, f"vLLM ended: {self._last_words()}"
            assert time.monotonic() < deadline, f"vLLM did not start: {self._last_words()}"
            time.sleep(0.5)

    def _healthy(self) -> bool:
        try:
            return self._http.get("/health").is_success
        except httpx.HTTPError:
            return False

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-3_000:]

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def close(self) -> None:
        self._end(signal.SIGTERM)
        self._http.close()

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        for sent in (number, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, sent)
            except ProcessLookupError:
                break
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()
        self._process = None

    def generating(self) -> int:
        return round(
            self._metric("vllm:num_requests_running") + self._metric("vllm:num_requests_waiting")
        )

    def generated(self) -> int:
        return round(self._metric("vllm:generation_tokens_total"))

    def _metric(self, name: str) -> float:
        text = self._http.get("/metrics").text
        values: list[Any] = re.findall(rf"^{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
        assert values, f"vLLM has no metric {name}"
        return sum(map(float, values))
