"""What is set right even when a process ends at once: the terminal outlives it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

INTERRUPTED: Final = 130  # the status of what Ctrl+C ended, as shells tell it

_registered: Final[list[Callable[[], None]]] = []


@contextmanager
def restore_on_exit(set_right: Callable[[], None]) -> Iterator[None]:
    """While inside, `exit_now` calls this; it must wait for nothing."""
    _registered.append(set_right)
    try:
        yield
    finally:
        _registered.remove(set_right)


def exit_now(status: int) -> NoReturn:
    """End the process whatever it is doing: no thread is joined and no context is left."""
    for set_right in reversed(_registered):
        with suppress(Exception):
            set_right()
    os._exit(status)
