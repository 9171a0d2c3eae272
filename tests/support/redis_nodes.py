"""Several redis-servers on this machine, for tests of Sentinel and Cluster."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from common.closeable import Closeable
from ops.local.die_with_parent import die_with_parent
from ops.local.machine import find_free_port
from tests.support.redis_server import EXECUTABLES

START_S: Final = 30.0
# What the docs advise: a master that no replica follows closely accepts nothing.
CAREFUL: Final = ("min-replicas-to-write 1", "min-replicas-max-lag 3")
DURABLE: Final = ('save ""', "appendonly yes", "appendfsync everysec")


class RedisNode:
    """One server process in its own folder; `lines` are its redis.conf, after what all need."""

    def __init__(self, executable: str, port: int, lines: Sequence[str], *arguments: str) -> None:
        self.port = port
        self.folder = Path(tempfile.mkdtemp(prefix="earshot-node-"))
        common = [
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"logfile {self.folder / 'redis.log'}",
        ]
        config = self.folder / "redis.conf"
        config.write_text("\n".join([*common, *lines, ""]))
        self._argv = [executable, str(config), *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, or start it again on its data."""
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nobody answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        never = Retry(NoBackoff(), 0)
        return redis.Redis(port=self.port, socket_timeout=5, retry=never, decode_responses=True)

    def info(self, section: str) -> Mapping[str, object]:
        """INFO, or nothing from a server that does not answer."""
        try:
            with self.client() as client:
                found: Mapping[str, object] = client.info(section)
                return found
        except RedisError:
            return {}

    def ask(self, command: str) -> str:
        """The answer to a command as one text, or nothing from a server that does not answer."""
        try:
            with self.client() as client:
                return str(client.execute_command(command))
        except RedisError:
            return ""

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisNodes(Closeable):
    """Its nodes are gone at the end of the context."""

    def __init__(self) -> None:
        executable = EXECUTABLES["installed"]
        assert executable, "these tests need redis-server and redis-cli on PATH"
        self._executable = executable
        self.nodes: list[RedisNode] = []

    def add(self, lines: Sequence[str], *arguments: str) -> RedisNode:
        """Start a node on a free port."""
        node = RedisNode(self._executable, find_free_port(), lines, *arguments)
        self.nodes.append(node)
        return node

    def close(self) -> None:
        for node in self.nodes:
            node.close()
