"""Whether a producer is ready, for /readyz and for the live line."""

import asyncio
from typing import Final, Protocol, runtime_checkable

from common.redis.failures import is_unusable
from common.redis.link import Link

ANSWER_S: Final = 2.0
"""A healthy Redis answers a ping within a millisecond."""


@runtime_checkable
class RecoverableSource(Protocol):
    """A source whose device may go away for a while."""

    @property
    def is_away(self) -> bool: ...


async def explain_not_ready(source: object, link: Link) -> str:
    """Return in a sentence why speech would not reach Redis now; empty if it would.

    A producer that is not ready still hears, and keeps what it heard in its outbox.
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
    return ""


def describe_problem(source: object, link: Link) -> str:
    """Return the problem in two words, as far as it is known without asking Redis."""
    if isinstance(source, RecoverableSource) and source.is_away:
        return "no microphone"
    return "Redis away" if link.why else ""
