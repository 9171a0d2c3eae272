"""Publishing a reply while it is generated, and stopping it where newer speech came.

Before the first word the handler then takes the turns again, to answer all of them as one.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from common.errors import Lost
from common.redis.failures import is_unusable
from common.redis.store import Store
from common.transitions.answering import Attempt, DeltaAnswer, delta, newer_speech
from workers.llm.answers.finished import Finished
from workers.llm.reply import ReplyText
from workers.llm.reply_batches import batch_text
from workers.loop.handler import HandlerContext

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PublishedReply:
    """A reply as far as it was published. Times are of the monotonic clock, in s.

    `finished` is None where newer speech interrupted it.
    """

    text: str
    finished: Finished | None
    first_token_at: float | None
    ended_at: float


class NewerSpeech(Exception):
    """Newer speech came before the first word of the reply: answer both as one."""


class ReplyPublisher:
    """Publishes the replies to one attempt as deltas, a batch every `interval_s` seconds.

    `may_grow`: another attempt would take more turns than this one, so that it is worth asking
    again when newer speech comes before the first word.
    """

    def __init__(
        self,
        store: Store,
        context: HandlerContext,
        attempt: Attempt,
        *,
        interval_s: float,
        may_grow: bool,
    ) -> None:
        self._store = store
        self._context = context
        self._attempt = attempt
        self._interval_s = interval_s
        self._interruptible = attempt.turns[-1].interrupt
        self._may_grow = may_grow

    async def publish(self, parts: AsyncGenerator[str | Finished, None]) -> PublishedReply:
        """Publish a reply's text as it comes, until it ends or newer speech interrupts it.

        Raises NewerSpeech, Lost, and what `parts` raises. Closes `parts`, however it ends.
        """
        reply = ReplyText(parts)
        published: list[str] = []
        first_token_at = None
        async with aclosing(batch_text(reply.pieces(), self._interval_s)) as batches:
            async for text in batches:
                if first_token_at is None:
                    first_token_at = time.monotonic()
                    await self._check_newer_speech()
                newer = await self._publish_delta(len(published), text)
                published.append(text)
                if newer and self._interruptible and reply.finished is None:
                    return PublishedReply(
                        "".join(published), None, first_token_at, time.monotonic()
                    )
        assert reply.finished is not None, "a stream that does not raise ends with its result"
        return PublishedReply("".join(published), reply.finished, first_token_at, time.monotonic())

    async def _check_newer_speech(self) -> None:
        """Raise NewerSpeech where it waits already and can be answered together with this."""
        if not (self._interruptible and self._may_grow):
            return
        if await self._ask(lambda: newer_speech(self._store, self._attempt)):
            raise NewerSpeech

    async def _publish_delta(self, index: int, text: str) -> bool:
        """Publish a batch; return whether newer speech waits."""
        return await self._ask(lambda: delta(self._store, self._attempt, index, text))

    async def _ask(self, transition: Callable[[], Awaitable[DeltaAnswer]]) -> bool:
        """Run a delta's transition; return whether newer speech waits. Raises Lost.

        While Redis is away there is no answer. The reply goes on without it: deltas are a
        convenience, and the reply is settled when Redis is back.
        """
        try:
            answer = await self._context.try_once(transition)
        except Exception as error:
            if not is_unusable(error):
                raise
            log.debug("delta_left_out", why=str(error))
            return False
        if not answer.held:
            raise Lost("another attempt answers the session's turns")
        return answer.newer_speech
