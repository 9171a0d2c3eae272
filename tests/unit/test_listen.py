"""A run that could not send what it heard does not end as if it had."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray
from redis.asyncio import Redis

from common.errors import BadInput
from common.link import Link
from common.settings import LimitSettings, ListenSettings, RedisSettings
from common.store import Store
from common.utterance import Utterance
from producer.listen import listen
from producer.outbox import Outbox

FRAME = 480


class Silence:
    """A source that is over at once. `closed`: nothing more is wanted of it."""

    name = "silence"
    is_live = False
    frame_samples = FRAME
    samples = 0

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        return iter(())

    def close(self) -> None:
        self.closed.set()


class Deaf:
    is_sure = True

    def is_speech(self, frame: NDArray[np.int16]) -> bool:
        return False


async def test_an_outbox_whose_disk_fails_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    redis: Any = Redis()
    source = Silence()
    outbox = Outbox(tmp_path, "s1", max_bytes=10_000, max_age_s=60)
    outbox.add(Utterance(id="a", session="s1"), age_s=0)

    async def meet() -> None:
        await source.closed.wait()
        outbox._db.close()  # from now on nothing can be read or written

    running = asyncio.create_task(
        listen(
            source,
            Deaf(),
            ListenSettings(),
            outbox,
            Store(redis, 1, LimitSettings()),
            Link(redis, RedisSettings(), max_pause_s=0.01),
            meet,
            asyncio.Event(),
            session="s1",
            paced=False,
        )
    )
    async with asyncio.timeout(30):
        with pytest.raises(BadInput, match=r"the outbox in .* cannot be used"):
            await running
