"""The real pipeline as processes: Redis, STT and LLM workers, and the stand-in, for tests."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.redis_server import RedisServer
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

DEADLINE_S: Final = 120.0


def earshot(*arguments: str) -> list[str]:
    """The argv of an earshot command under this Python."""
    return [sys.executable, "-m", "ops.cli", *arguments]


@dataclass(slots=True)
class Pipeline:
    """Running parts. `env` is what every further command needs, beside the way to Redis."""

    redis: RedisServer
    stand_in: StandIn
    env: dict[str, str]
    folder: Path

    def _env(self, command: str, env: Mapping[str, str] | None) -> dict[str, str]:
        return self.env | self.redis.variables(command) | dict(env or {})

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end."""
        return subprocess.run(
            earshot(*arguments),
            env=self._env(arguments[0], env),
            input=stdin,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def events(self, session: str) -> list[dict[str, Any]]:
        """What `earshot tail --json` prints of a session by now."""
        done = self.run("tail", "--json", "--since", "all", "--no-follow", "--session", session)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wait_for_endings(self, session: str, turns: int) -> list[dict[str, Any]]:
        """Events of a session once so many of its turns have ended."""
        events: list[dict[str, Any]] = until_sync(
            lambda: self.events(session), lambda events: len(endings(events)) >= turns
        )
        return events

    @contextmanager
    def running(self, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Any]:
        """A command beside the test; ended by SIGTERM. Its stderr goes to a file."""
        log = self.folder / f"{'-'.join(arguments[:1])}-{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                earshot(*arguments),
                env=self._env(arguments[0], env),
                stdout=output,
                stderr=output,
            )
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    raise


def endings(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] in {"reply", "skipped", "error"}]


@contextmanager
def running_pipeline(
    folder: Path, *, stt: int = 1, llm: int = 1, redis: RedisServer | None = None
) -> Iterator[Pipeline]:
    """Everything but a producer, with the bundled speech model; on `redis`, or one of its own."""
    with ExitStack() as stack:
        if redis is None:
            redis = stack.enter_context(RedisServer(tcp=True, options={"appendonly": "yes"}))
        stand_in = stack.enter_context(StandIn("--first-token-ms", "10"))
        env = {name: value for name, value in os.environ.items() if not name.startswith("EARSHOT_")}
        env |= {
            "EARSHOT_LLM__BASE_URL": stand_in.base_url,
            "EARSHOT_STT__MODEL": "demo",
            "EARSHOT_LISTEN__OUTBOX": str(folder / "outbox"),
        }
        parts = Pipeline(redis, stand_in, env, folder)
        for role, count in (("stt", stt), ("llm", llm)):
            for _ in range(count):
                stack.enter_context(parts.running(role))
        yield parts
