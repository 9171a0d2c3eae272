"""Ending the process at once, with the terminal restored first."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

INTERRUPTED: Final = 130
"""The exit status after Ctrl+C: 128 and the number of SIGINT, as shells have it."""

_registered: Final[list[Callable[[], None]]] = []


@contextmanager
def restore_on_exit(restore: Callable[[], None]) -> Iterator[None]:
    """Let `exit_now` call `restore`, as long as the context lasts; it must not block."""
    _registered.append(restore)
    try:
        yield
    finally:
        _registered.remove(restore)


def exit_now(status: int) -> NoReturn:
    """End the process at once: join no thread and leave no context."""
    for restore in reversed(_registered):
        with suppress(Exception):
            restore()
    os._exit(status)
