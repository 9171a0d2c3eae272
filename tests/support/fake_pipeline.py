"""A pipeline without processes: a test makes each step, by the real transitions on Redis."""

import asyncio
import threading
import uuid
from collections.abc import Coroutine
from typing import Any, Final, Self, TypeVar

from common.audio import encode
from common.closeable import Closeable
from common.keys import LLM_GROUP, STT_GROUP, Shard
from common.redis.store import Store
from common.settings import LimitSettings
from common.transitions.answering import Attempt, delta, settle_turn, take_turn
from common.transitions.claims import Claim, Settled
from common.transitions.publishing import publish
from common.transitions.transcribing import bury_utterance, settle_skip, settle_transcript
from common.utterance import Utterance
from tests.support.redis_server import RedisServer
from tests.support.speechlike import speechlike

Answer = TypeVar("Answer")

SHARD: Final = Shard(0)
STT: Final = "stt-1"
LLM: Final = "llm-1"
DEADLINE_S: Final = 30.0


class FakePipeline(Closeable):
    """The producer and the workers, driven by blocking calls.

    The event loop runs in a thread of its own, because Playwright's runs in the main thread.
    """

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.store: Store

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        return self

    def close(self) -> None:
        self._do(self.store.redis.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, step: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(DEADLINE_S)

    async def _open(self) -> None:
        self.store = Store(self._server.client(), 1, LimitSettings())
        redis: Any = self.store.redis
        for stream, group in ((SHARD.utterances, STT_GROUP), (SHARD.turns, LLM_GROUP)):
            await redis.xgroup_create(stream, group, "0", mkstream=True)

    def say(self, session: str, text: str) -> int:
        """Publish a turn as text; return its number."""
        utterance = Utterance(id=uuid.uuid4().hex, session=session, text=text, source="say")
        return self._do(publish(self.store, utterance)).turn

    def speak(self, session: str, seconds: float = 1.0) -> int:
        """Publish a turn as sound; return its number."""
        samples = speechlike(seconds)
        utterance = Utterance(
            id=uuid.uuid4().hex,
            session=session,
            audio=encode(samples),
            samples=len(samples),
            speech_ms=round(1000 * seconds),
            hold_ms=1_000,
            source="kitchen.wav",
        )
        return self._do(publish(self.store, utterance)).turn

    def transcribe(self, text: str) -> None:
        """Settle the oldest utterance with a transcript."""

        async def step() -> Settled:
            claim, fields = await self._read(SHARD.utterances, STT_GROUP, STT)
            return await settle_transcript(
                self.store,
                claim,
                **_address(fields),
                text=text,
                stt_ms=40,
                detail={"model": "demo", "worker": STT, "avg_logprob": -0.21, "language": "en"},
            )

        assert self._do(step()) is Settled.OK

    def skip(self) -> None:
        """Settle the oldest utterance as noise."""

        async def step() -> Settled:
            claim, fields = await self._read(SHARD.utterances, STT_GROUP, STT)
            return await settle_skip(
                self.store, claim, **_address(fields), reason="noise", stt_ms=40, detail={}
            )

        assert self._do(step()) is Settled.OK

    def bury(self, error: str) -> None:
        """Make the oldest utterance a dead letter."""

        async def step() -> Settled:
            claim, fields = await self._read(SHARD.utterances, STT_GROUP, STT)
            return await bury_utterance(
                self.store,
                claim,
                **_address(fields),
                reason="bad_audio",
                error=error,
                deliveries=1,
                worker=STT,
            )

        assert self._do(step()) is Settled.OK

    def take(self, session: str) -> Attempt:
        """Begin to answer the next wake-up, which must be this session's."""

        async def step() -> Attempt:
            claim, _ = await self._read(SHARD.turns, LLM_GROUP, LLM)
            attempt = await take_turn(
                self.store, claim, session, token=uuid.uuid4().hex, max_merge=4, history=0
            )
            assert isinstance(attempt, Attempt), attempt
            return attempt

        return self._do(step())

    def stream(self, attempt: Attempt, index: int, text: str) -> None:
        """Publish a piece of the reply."""
        assert self._do(delta(self.store, attempt, index, text)).held

    def settle(self, attempt: Attempt, text: str) -> None:
        """Settle the turns with the whole reply."""
        usage = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}
        settled = settle_turn(
            self.store,
            attempt,
            text=text,
            detail={"model": "stand-in", "worker": LLM, "finish_reason": "stop", "usage": usage},
            first_token_ms=5,
            keep=0,
            messages=[],
        )
        assert self._do(settled) is Settled.OK

    def answer(self, session: str, text: str) -> None:
        """Answer the session's next turns, in two pieces."""
        attempt = self.take(session)
        middle = len(text) // 2
        self.stream(attempt, 0, text[:middle])
        self.stream(attempt, 1, text[middle:])
        self.settle(attempt, text)

    async def _read(
        self, stream: str, group: str, consumer: str
    ) -> tuple[Claim, dict[bytes, bytes]]:
        redis: Any = self.store.redis
        rows = await redis.xreadgroup(group, consumer, {stream: ">"}, count=1)
        assert rows, f"nothing waits in {stream}"
        entry, fields = rows[0][1][0]
        return Claim(SHARD, stream, entry.decode(), consumer), fields


def _address(fields: dict[bytes, bytes]) -> dict[str, Any]:
    return {
        "session": fields[b"session"].decode(),
        "turn": int(fields[b"turn"]),
        "utterance": fields[b"id"].decode(),
    }
