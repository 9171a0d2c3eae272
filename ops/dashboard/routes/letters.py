"""Dead letters: list, listen, replay, drop."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import soundfile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from common.audio import SAMPLE_RATE
from common.errors import RedisUnusable
from common.redis.failures import explain_failure, is_unusable
from common.redis.store import Store
from common.settings import Settings
from common.status.dead_letters import DeadLetter, find_dead_letter, list_latest_letters
from ops.queries.dead_letters import drop_letter, replay_letter

PAGE: Final = 20
"""Letters in one answer: about two screens."""

Answer = Callable[[Request], Awaitable[Response]]


class Letters:
    """The routes of the dead letters of one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def routes(self) -> Sequence[BaseRoute]:
        one = "/api/dead/{shard:int}/{letter}"
        return [
            Route("/api/dead", self._explain_redis_errors(self.list)),
            Route(f"{one}/audio", self._explain_redis_errors(self.audio)),
            Route(f"{one}/replay", self._explain_redis_errors(self.replay), methods=["POST"]),
            Route(f"{one}/drop", self._explain_redis_errors(self.drop), methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """Return the newest letters; with `?before=LETTER`, those before it."""
        letters = await list_latest_letters(self._store, request.query_params.get("before"), PAGE)
        shown = [letter.as_dict() | {"shard": letter.shard.number} for letter in letters]
        return JSONResponse({"letters": shown, "more": len(letters) == PAGE})

    async def audio(self, request: Request) -> Response:
        """Return a letter's audio as WAV."""
        letter = await self._letter(request)
        wav = await asyncio.to_thread(self._wav, letter)
        return Response(wav, media_type="audio/wav")

    async def replay(self, request: Request) -> Response:
        """Replay a letter."""
        return _done(await replay_letter(self._store, await self._letter(request)))

    async def drop(self, request: Request) -> Response:
        """Drop a letter."""
        return _done(await drop_letter(self._store, await self._letter(request)))

    async def _letter(self, request: Request) -> DeadLetter:
        values: dict[str, Any] = request.path_params
        return await find_dead_letter(self._store, values["letter"], values["shard"])

    def _wav(self, letter: DeadLetter) -> bytes:
        samples = letter.samples(round(self._settings.limits.max_audio_s * SAMPLE_RATE))
        target = io.BytesIO()
        soundfile.write(target, samples, SAMPLE_RATE, format="WAV")
        return target.getvalue()

    def _explain_redis_errors(self, answer: Answer) -> Answer:
        """Answer an error of Redis with a sentence."""

        async def answer_or_explain(request: Request) -> Response:
            try:
                # without the link, which would take a missing right for an absent Redis
                return await answer(request)
            except Exception as error:
                if is_unusable(error):
                    raise RedisUnusable(explain_failure(error, self._settings.redis)) from None
                raise

        return answer_or_explain


def _done(what: str) -> Response:
    return JSONResponse({"done": what})
