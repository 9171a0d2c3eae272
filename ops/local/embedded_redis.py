"""An embedded Redis server, for `earshot up` and `earshot demo` and for tests.

It keeps data, socket, log and lock in one folder, listens on a Unix socket only, and ends with the
process that started it. With the same folder it continues with the same data.
"""

import fcntl
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import quote

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from common.closeable import Closeable
from ops.local.die_with_parent import die_with_parent
from ops.local.redis_program import NoEmbeddedRedis, find_server, read_version

SOCKET_PATH_MAX: Final = 103
"""Longest path of a socket, in bytes: `sun_path` has 108 on Linux and 104 on macOS, with a zero at
the end."""

PREDECESSOR_S: Final = 2.0
"""How long a server whose parent was killed may take to release the folder."""

SILENT_START_S: Final = 30.0
"""How long a server may take to accept connections; loading data does not count."""

SHUTDOWN_S: Final = 15.0
"""How long the last fsync may take; after that the server is killed, which loses no data."""

POLL_S: Final = 0.02

WITHOUT_CREDENTIALS: Final = dict.fromkeys(
    ("username", "password", "ca_file", "cert_file", "key_file"), ""
)
"""Overrides credentials that are set for another server."""

log = structlog.get_logger(__name__)


class EmbeddedRedis(Closeable):
    """A `redis-server` child process, which writes an append-only file and evicts nothing.

    `folder` keeps the data between runs. None means a temporary folder, which is deleted at the
    end. `fsync` is Redis's `appendfsync`. Use it as a context manager, or call `start` and `close`.
    Both may be called again, so that a test can restart the server with its data.

    Raises NoEmbeddedRedis if this machine has no server, if another process uses the folder, or if
    the server does not start.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        fsync: Literal["everysec", "always"] = "everysec",
        server: Path | None = None,
    ) -> None:
        self._temporary = folder is None
        self.folder = _temporary_path() if folder is None else folder.absolute()
        self._fsync = fsync
        self._server = server
        self._socket_folder: Path | None = None
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = self._choose_socket()

    @property
    def url(self) -> str:
        """`unix://` and the socket's path, as EARSHOT_REDIS__URL takes it."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def settings(self) -> dict[str, str]:
        """The section `redis` of the settings of its clients."""
        return {"url": self.url} | WITHOUT_CREDENTIALS

    @property
    def pid(self) -> int:
        """The process id of the server. Raises NoEmbeddedRedis if it does not run."""
        if not self.running:
            raise NoEmbeddedRedis(f"the embedded Redis in {self.folder} is not running")
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server is alive. If it has died, `start` starts it again."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start the server and wait until it answers, with its data loaded."""
        if self.running:
            return
        server = self._server or find_server()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._take_lock()
            self._refuse_newer_data(server)
            self._launch(server)
            self._wait_for_answer()
        except OSError as error:
            self.close()
            raise NoEmbeddedRedis(
                f"the embedded Redis cannot use {self.folder}: {error.strerror or error}"
            ) from None
        except BaseException:
            self.close()
            raise
        log.debug("embedded_redis_started", server=str(server), folder=str(self.folder))

    def close(self) -> None:
        """End the server in an orderly way: everything that it has accepted is on disk then."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(SHUTDOWN_S)
            except subprocess.TimeoutExpired:
                log.warning("embedded_redis_killed", why=f"still running after {SHUTDOWN_S:g} s")
                process.kill()
                process.wait()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _choose_socket(self) -> Path:
        near = self.folder / "redis.sock"
        if len(os.fsencode(near)) <= SOCKET_PATH_MAX:
            return near
        self._socket_folder = _temporary_path()
        if len(os.fsencode(self._socket_folder / near.name)) > SOCKET_PATH_MAX:
            self._socket_folder = _temporary_path("/tmp")
        return self._socket_folder / near.name

    def _take_lock(self) -> None:
        if self._lock is not None:  # we hold it since an earlier start
            return
        # The server inherits the lock with the descriptor. So the data stays locked even while the
        # server lives a moment longer than its parent.
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + PREDECESSOR_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(POLL_S)
                    continue
                owner = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
                os.close(lock)
                raise NoEmbeddedRedis(
                    f"{self.folder} is in use by another earshot (process {owner}):"
                    " stop that one, or choose another folder"
                ) from None
            except OSError:
                os.close(lock)
                raise
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def _refuse_newer_data(self, server: Path) -> None:
        # Redis before 7 looks for a single append-only file, finds none, and starts without data
        if (self.folder / "appendonlydir").is_dir() and (read_version(server) or (0,)) < (7,):
            raise NoEmbeddedRedis(
                f"the data in {self.folder} was written by Redis 7 or newer, and {server} is older:"
                " install redis-server 7, or choose another folder"
            )

    def _launch(self, server: Path) -> None:
        if self._socket_folder is not None:
            self._socket_folder.mkdir(mode=0o700, exist_ok=True)
        output = self.folder / "redis.log"
        with suppress(FileNotFoundError):
            output.replace(output.with_suffix(".log.1"))
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        assert self._lock is not None
        with output.open("wb") as stream:
            self._process = subprocess.Popen(
                [str(server), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                # Redis 7.2 and newer do not start with a locale that the machine lacks
                env=os.environ | {"LC_ALL": "C"},
                # Ctrl+C in the terminal must not end it before the workers
                start_new_session=True,
                pass_fds=(self._lock,),
                preexec_fn=die_with_parent(),
            )

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + SILENT_START_S
        client = Redis(
            unix_socket_path=str(self.socket),
            socket_timeout=5,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )
        with client:
            while True:
                try:
                    client.ping()
                    return
                except BusyLoadingError:
                    deadline = time.monotonic() + SILENT_START_S
                except RedisError:
                    if not self.running or time.monotonic() > deadline:
                        raise NoEmbeddedRedis(self._explain_failure()) from None
                time.sleep(POLL_S)

    def _explain_failure(self) -> str:
        output = self.folder / "redis.log"
        lines = output.read_text(errors="replace").strip().splitlines() or ["it printed nothing"]
        # "PID:ROLE date time LEVEL text": a person needs only the text
        reason = re.sub(r"^\d+:\w \d+ \w+ \d+ [\d:.]+ [.\-*#] ", "", lines[-1])
        return f"the embedded Redis in {self.folder} did not start: {reason} (see {output})"


def _temporary_path(parent: str | None = None) -> Path:
    """Choose a new path for a temporary folder; the caller makes the folder."""
    return Path(parent or tempfile.gettempdir()) / f"earshot-{secrets.token_hex(6)}"
