"""What fails again and again, though Redis is there, is told once and tried ever more seldom."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from common.redis.link import Link
from common.settings import RedisSettings
from tests.unit.workers.loop.noted_pauses import note_pauses
from workers.loop import intake as module
from workers.loop.in_hand import EntriesInHand
from workers.loop.intake import Intake

LONGEST_S = 1.0


class BadReader:
    """Raises `errors`, one for each read, and then nothing more happens."""

    streams = ("earshot:{0}:utterances",)

    def __init__(self, link: Link, *errors: Exception) -> None:
        self.link = link
        self.errors = list(errors)
        self.over = asyncio.Event()

    async def read_available(self) -> list[Any]:
        if self.errors:
            raise self.errors.pop(0)
        self.over.set()
        await asyncio.Event().wait()
        return []

    wait_for_new = read_available


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between reads."""
    return note_pauses(monkeypatch, module)


async def test_a_lasting_error_is_told_once_and_tried_ever_more_seldom(
    pauses: list[float],
) -> None:
    redis: Any = None
    link = Link(redis, RedisSettings(), max_pause_s=0.01)
    reader: Any = BadReader(link, *[ResponseError("WRONGTYPE")] * 7, ResponseError("another"))
    in_hand = EntriesInHand(redis, link, "stt", "me")
    intake = Intake(
        [reader], in_hand, limit=lambda: 1, begin=lambda *_: None, max_pause_s=LONGEST_S
    )
    with capture_logs() as lines:
        reading = asyncio.create_task(intake._read_new(reader))
        await reader.over.wait()
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    told = [str(line["exc_info"]) for line in lines if line["event"] == "read_failed"]
    assert told == ["WRONGTYPE", "another"]
    assert pauses == [0.1, 0.2, 0.4, 0.8, LONGEST_S, LONGEST_S, LONGEST_S, LONGEST_S]
