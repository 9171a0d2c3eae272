"""A run that could not send what it heard does not end as if it had."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from common.errors import BadInput
from common.redis.link import Link
from common.redis.store import Store
from common.settings import LimitSettings, ListenSettings, RedisSettings
from common.utterance import Utterance
from producer.listen import listen
from producer.shipping.outbox import Outbox
from tests.support.speech_script import LoudnessDetector, SpeechScript


class Silence(SpeechScript):
    """A source that is over at once. `closed`: nothing more is wanted of it."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = asyncio.Event()

    def close(self) -> None:
        super().close()
        self.closed.set()


async def test_an_outbox_that_is_taken_away_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    redis: Any = Redis()
    source = Silence()
    outbox = Outbox(tmp_path, "s1", max_bytes=10_000, max_age_s=60)
    outbox.add(Utterance(id="a", session="s1"), age_s=0)

    async def meet() -> None:
        await source.closed.wait()
        outbox.close()  # from now on nothing can be read or written

    running = asyncio.create_task(
        listen(
            source,
            LoudnessDetector(),
            ListenSettings(),
            outbox,
            Store(redis, 1, LimitSettings()),
            Link(redis, RedisSettings(), max_pause_s=0.01),
            meet,
            asyncio.Event(),
            session="s1",
            realtime=False,
        )
    )
    async with asyncio.timeout(30):
        with pytest.raises(BadInput, match=r"the outbox in .* cannot be used"):
            await running
