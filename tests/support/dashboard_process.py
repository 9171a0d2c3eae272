"""`earshot dashboard` as a process that can be stopped, killed and started again."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from tests.support.pipeline import earshot
from tests.support.waiting import until_sync

STOP_S: Final = 30.0
ADDRESS: Final = re.compile(r"^Dashboard: (http://\S+)$", re.MULTILINE)


class DashboardProcess:
    """`earshot dashboard`, which keeps its address when it is started again."""

    def __init__(self, folder: Path, redis_url: str, variables: Mapping[str, str]) -> None:
        outside = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        self._env = (
            outside
            | {
                "EARSHOT_REDIS__URL": redis_url,
                "EARSHOT_DASHBOARD__PORT": "0",
                "EARSHOT_LISTEN__OUTBOX": str(folder / "outbox"),
            }
            | dict(variables)
        )
        self._folder = folder
        self._log = folder / "dashboard.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        self._log.unlink(missing_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                earshot("dashboard"), env=self._env, cwd=self._folder, stdout=log, stderr=log
            )
        found = until_sync(lambda: ADDRESS.search(self.log) or self._has_ended(), bool)
        assert not self._has_ended(), self.log
        self.url = found[1]
        self._env["EARSHOT_DASHBOARD__PORT"] = self.url.rstrip("/").rpartition(":")[2]

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_S)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _is_ours(name: str) -> bool:
    return name.upper().startswith("EARSHOT_")
