"""A redis-server whose wall clock a test can set, back and forth; `stepped_clock.c` does it."""

import shutil
import struct
import tempfile
from pathlib import Path
from typing import Final

from tests.support.preloaded import compile_preloaded
from tests.support.redis_server import EXECUTABLES, RedisServer

SOURCE: Final = Path(__file__).with_suffix(".c")


class SteppedRedis(RedisServer):
    """A private server; `step` sets its clock."""

    def __init__(self, executable: str | None = None) -> None:
        chosen = executable or EXECUTABLES["installed"] or EXECUTABLES["embedded"]
        assert chosen, "no redis-server found"
        self._tools = Path(tempfile.mkdtemp(prefix="earshot-clock-"))
        self._offset = self._tools / "offset"
        self._offset.write_bytes(struct.pack("=q", 0))
        wrapper = self._tools / "redis-server"
        wrapper.write_text(
            "#!/bin/sh\n"
            f"LD_PRELOAD={compile_preloaded(SOURCE, self._tools)} CLOCK_OFFSET_FILE={self._offset}"
            f' exec {chosen} "$@"\n'
        )
        wrapper.chmod(0o700)
        super().__init__(str(wrapper))

    def step(self, seconds: int) -> None:
        """Set the clock to so many seconds after (or, if negative, before) the true time."""
        with self._offset.open("r+b") as file:
            file.write(struct.pack("=q", seconds))

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._tools, ignore_errors=True)
