"""Ending the process at once, after the terminal was restored."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

INTERRUPTED: Final = 130
"""The exit status after Ctrl+C: 128 and the number of SIGINT, as shells have it."""

_restore_functions: Final[list[Callable[[], None]]] = []


@contextmanager
def restore_on_exit(restore: Callable[[], None]) -> Iterator[None]:
    """Let `exit_now` call `restore` while the context is open. `restore` must not block."""
    _restore_functions.append(restore)
    try:
        yield
    finally:
        _restore_functions.remove(restore)


def exit_now(status: int) -> NoReturn:
    """End the process at once, without waiting for threads and without closing contexts."""
    for restore in reversed(_restore_functions):
        with suppress(Exception):
            restore()
    os._exit(status)
