"""The first piece of a reply goes out at once, the rest in batches, and nothing is changed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.llm.reply_batches import PendingText, batch_text

HOUR_S = 3_600.0


async def source(*pieces: str, error: Exception | None = None) -> AsyncGenerator[str, None]:
    for piece in pieces:
        yield piece
    if error is not None:
        raise error


class Tap:
    """Pieces that come when a test lets them."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def pieces(self) -> AsyncGenerator[str, None]:
        try:
            while (piece := await self.queue.get()) is not None:
                yield piece
        finally:
            self.closed.set()


@given(st.lists(st.tuples(st.text(alphabet="ab \n\t", max_size=4), st.booleans()), max_size=20))
def test_what_is_taken_is_the_text_without_white_space_around_it(
    pieces: list[tuple[str, bool]],
) -> None:
    pending = PendingText()
    taken = ""
    for piece, take in pieces:
        something = pending.add(piece)
        if take:
            batch = pending.take()
            assert bool(batch) == something
            taken += batch
    taken += pending.take()
    assert taken == "".join(piece for piece, _ in pieces).strip()


async def test_first_piece_at_once_and_the_rest_when_the_stream_ends() -> None:
    tap = Tap()
    async with aclosing(batch_text(tap.pieces(), HOUR_S)) as batches:
        tap.queue.put_nowait("Hello")
        assert await anext(batches) == "Hello"
        for piece in (", ", "wor", "ld", None):
            tap.queue.put_nowait(piece)
        assert [batch async for batch in batches] == [", world"]


async def test_what_gathered_goes_out_though_nothing_more_comes() -> None:
    tap = Tap()
    async with aclosing(batch_text(tap.pieces(), 0.001)) as batches:
        tap.queue.put_nowait("one")
        assert await anext(batches) == "one"
        tap.queue.put_nowait(" two")
        assert await anext(batches) == " two"
        tap.queue.put_nowait(None)
        assert [batch async for batch in batches] == []


@pytest.mark.parametrize("pieces", [(), ("", ""), (" ", "\n")])
async def test_no_batch_of_nothing(pieces: tuple[str, ...]) -> None:
    assert [batch async for batch in batch_text(source(*pieces), 0)] == []


async def test_the_streams_error_is_raised() -> None:
    batches = batch_text(source(error=ZeroDivisionError()), HOUR_S)
    with pytest.raises(ZeroDivisionError):
        await anext(batches)


async def test_an_error_does_not_wait_for_the_interval() -> None:
    tap = Tap()

    async def failing() -> AsyncGenerator[str, None]:
        async for piece in tap.pieces():
            yield piece
        raise ZeroDivisionError

    batches = batch_text(failing(), HOUR_S)
    tap.queue.put_nowait("Hello")
    assert await anext(batches) == "Hello"
    tap.queue.put_nowait(None)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(30):
            await anext(batches)


async def test_closing_closes_the_stream() -> None:
    tap = Tap()
    async with aclosing(batch_text(tap.pieces(), HOUR_S)) as batches:
        tap.queue.put_nowait("Hello")
        await anext(batches)
    assert tap.closed.is_set()


async def test_cancelling_the_reader_closes_the_stream() -> None:
    tap = Tap()
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(batch_text(tap.pieces(), HOUR_S)) as batches:
            async for _ in batches:
                begun.set()

    reading = asyncio.create_task(read())
    tap.queue.put_nowait("Hello")
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert tap.closed.is_set()
