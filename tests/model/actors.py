"""Actors that a scheduler drives by hand: each runs to its next command and waits there."""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final, TypeVar

Answer = TypeVar("Answer")


class Violation(AssertionError):
    """A promise was broken; the sentence says which."""


class ReplyLost(Exception):
    """The connection failed: the command may have run or not, its caller cannot know."""


class _Pause:
    def __await__(self) -> Generator[None, None, None]:
        yield


# Where an actor may be stopped, overtaken or killed.
PAUSE: Final[Awaitable[None]] = _Pause()


def run_now(what: Callable[[], Awaitable[Answer]]) -> Answer:
    """Run a transition to its end; it never waits with a direct client."""
    try:
        next(what().__await__())
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    raise AssertionError("a transition waited for something")


class Actor:
    """One thread of work in the model: a producer, or one task of a worker process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.finished = False
        self.stopping = False
        self._life: Coroutine[Any, Any, None] | None = None

    async def live(self) -> None:
        raise NotImplementedError

    def step(self) -> None:
        """Run on to the next pause."""
        if self._life is None:
            self._life = self.live()
        try:
            self._life.send(None)
        except StopIteration:
            self.finished = True
        except BaseException:
            self.finished = True
            raise

    def die(self) -> None:
        """Like SIGKILL: nothing more of it runs, what it held stays as it is."""
        self.finished = True
        if self._life is not None:
            self._life.close()
