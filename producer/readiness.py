"""Whether a producer is ready, for /readyz and for the live line."""

import asyncio
from typing import Final, Protocol, runtime_checkable

from common.redis.failures import is_unusable
from common.redis.link import Link

ANSWER_S: Final = 2.0
"""A healthy Redis answers a ping within a millisecond."""


class Keeper(Protocol):
    """Keeps what was heard on a disk that may fail."""

    @property
    def disk_failure(self) -> str: ...


@runtime_checkable
class RecoverableSource(Protocol):
    """A source whose device may go away for a while."""

    @property
    def is_away(self) -> bool: ...


async def explain_not_ready(source: object, link: Link, outbox: Keeper | None = None) -> str:
    """Return in a sentence why speech would not reach Redis now, or be kept; empty if it would.

    A producer that is not ready still hears. It keeps what it heard in its outbox, or in memory
    while the disk of the outbox fails.
    """
    if isinstance(source, RecoverableSource) and source.is_away:
        return "the microphone has failed and is waited for"
    try:
        async with asyncio.timeout(ANSWER_S):
            await link.call(link.redis.ping)
    except TimeoutError:
        return f"Redis has not answered for {ANSWER_S:g} s"
    except Exception as error:
        if not is_unusable(error):
            raise
        return link.why
    if outbox is not None and (why := outbox.disk_failure):
        return f"the disk of the outbox fails ({why}): what is heard waits in memory"
    return ""


def describe_problem(source: object, link: Link, outbox: Keeper | None = None) -> str:
    """Return the problem in two words, as far as it is known without asking Redis."""
    if isinstance(source, RecoverableSource) and source.is_away:
        return "no microphone"
    if link.why:
        return "Redis away"
    return "disk fails" if outbox is not None and outbox.disk_failure else ""
