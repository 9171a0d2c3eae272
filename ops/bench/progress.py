"""Showing the progress of a benchmark, so that standard output holds its result alone."""

import sys
from collections.abc import Callable

Show = Callable[[str], None]
"""Shows a line of progress to whoever started the benchmark."""


def show_on_stderr(line: str) -> None:
    """Print a line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def show_nothing(line: str) -> None:
    """Drop a line of progress."""
