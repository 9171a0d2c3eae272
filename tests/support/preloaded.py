"""C sources of tests, compiled so that a program loads them before its C library."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def compile_preloaded(source: Path, folder: Path) -> Path:
    """Return the library, for LD_PRELOAD; a skip without a C compiler, in CI a failure."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        message = f"no C compiler on this machine, which {source.name} needs"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    library = folder / f"{source.stem}.so"
    options = ("-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *options, "-o", library, source], check=True)
    return library
