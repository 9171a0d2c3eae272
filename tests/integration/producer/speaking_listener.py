"""`earshot listen` as a process that a test speaks to, on a disk that the test can fill."""

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from common.closeable import Closeable
from common.settings import PREFIX
from tests.support.command_line import DEADLINE_S
from tests.support.speechlike import speechlike
from tests.support.waiting import until_sync

PAUSE_BYTES: Final = 16_000
"""Half a second: enough for a draft, and not for the end of an utterance."""

SPEECH: Final = np.concatenate((speechlike(1.5), np.zeros(24_000, np.int16))).tobytes()
"""One utterance, and the silence that ends it."""

UNLIMITED: Final = resource.RLIM_INFINITY


class SpeakingListener(Closeable):
    """A listener to raw audio, killed at the end. Its log is read all the time."""

    def __init__(
        self,
        folder: Path,
        url: str,
        *options: str,
        disk_is_full: bool = False,
        port: int = 0,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        listen = ["listen", "--session", "s1", "--outbox", "outbox", "--input", "-", *options]
        full = ["sh", "-c", 'ulimit -S -f 0; exec "$@"', "sh"] if disk_is_full else []
        outside = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
        self.process = subprocess.Popen(
            [*full, sys.executable, "-m", "ops.cli", *listen],
            env={
                **outside,
                "EARSHOT_REDIS__URL": url,
                "EARSHOT_LOG__FORMAT": "json",
                "EARSHOT_LISTEN__VAD": "webrtc",  # it hears speech in what is made by rule
                "EARSHOT_METRICS__PORT": str(port),
                **(variables or {}),
            },
            cwd=folder,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,  # a pipe, since no file can be written
        )
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.until("listening")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.lines.append({"event": line.decode()})

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of an event so far."""
        return [line for line in list(self.lines) if line["event"] == event]

    def until(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until an event was logged that often."""

        def look() -> list[dict[str, Any]]:
            found = self.logged(event)
            assert self.process.poll() is None or len(found) >= count, self.lines
            return found

        found: list[dict[str, Any]] = until_sync(look, lambda found: len(found) >= count)
        return found

    def speak(self, times: int = 1) -> None:
        """Say something, and wait until it was heard."""
        heard = len(self.logged("utterance_heard"))
        self.play(SPEECH * times)
        self.until("utterance_heard", heard + times)

    def play(self, sound: bytes) -> None:
        """Let it hear a sound: s16le, 16 kHz, mono."""
        assert self.process.stdin is not None
        self.process.stdin.write(sound)
        self.process.stdin.flush()

    def fill_disk(self) -> None:
        """From now on every write to a file fails, as on a full or broken disk."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (0, UNLIMITED))

    def free_disk(self) -> None:
        """Files can be written again."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))

    def end(self) -> int:
        """Close its input, and return its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(DEADLINE_S)
