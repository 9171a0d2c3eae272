"""A redis-server whose wall clock a test can set, back and forth; `stepped_clock.c` does it."""

import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

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
            f"LD_PRELOAD={compile_clock(self._tools)} CLOCK_OFFSET_FILE={self._offset}"
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


def compile_clock(folder: Path) -> Path:
    """The library to preload; a skip without a C compiler, in CI a failure."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        message = "no C compiler on this machine, which the setting of clocks needs"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    library = folder / "clock.so"
    options = ("-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *options, "-o", library, SOURCE], check=True)
    return library
