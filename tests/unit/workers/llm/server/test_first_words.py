"""The first words are gathered for a moment, and none is lost."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from workers.llm.answers.thoughts import Split
from workers.llm.server.first_words import gather_first_words


async def coming(*parts: str | asyncio.Event | Exception) -> AsyncGenerator[Split, None]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        if isinstance(part, asyncio.Event):
            await part.wait()
        else:
            yield Split(part)


async def test_what_comes_at_once_is_one_piece() -> None:
    found = [split.text async for split in gather_first_words(coming("a", "b", "c"), 60)]
    assert found == ["abc"]


async def test_what_comes_later_is_a_piece_of_its_own() -> None:
    later = asyncio.Event()
    splits = gather_first_words(coming("a", "b", later, "c", "d"), 0.01)
    assert (await anext(splits)).text == "ab"
    later.set()
    assert [split.text async for split in splits] == ["c", "d"]


async def test_an_error_comes_through_and_closing_ends_it() -> None:
    with pytest.raises(ValueError, match="broken"):
        _ = [split async for split in gather_first_words(coming("a", ValueError("broken")), 60)]
    splits = gather_first_words(coming("a", asyncio.Event(), "b"), 0)
    assert (await anext(splits)).text == "a"
    await splits.aclose()


async def test_nothing_and_thoughts() -> None:
    assert [split async for split in gather_first_words(coming(), 1)] == []

    async def thinking() -> AsyncGenerator[Split, None]:
        yield Split(thought="hm")
        yield Split("a")

    found = [split async for split in gather_first_words(thinking(), 1)]
    assert found == [Split(thought="hm"), Split("a")]
