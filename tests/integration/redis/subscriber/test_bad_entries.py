"""What is no event is skipped with a log line, and an error of a reader ends the subscriber
whole."""

import asyncio
from contextlib import aclosing

import pytest
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from common.keys import Shard
from tests.integration.redis.subscriber.published_results import (
    SESSIONS,
    PublishedResults,
    read_all,
    transcript_texts,
)


async def test_what_is_no_event_is_skipped_aloud(published: PublishedResults) -> None:
    await published.say("one")
    stream = Shard(0).results
    for fields in (
        {"foo": "bar"},
        {b"\xff": b"\xff"},
        {"v": "1", "type": "gossip", "data": "{}"},
        {"v": "1", "type": "heard", "data": "not JSON"},
    ):
        await published.redis.xadd(stream, fields)
    await published.say("two")
    with capture_logs() as logs:
        assert transcript_texts(
            await read_all(published.subscriber(since="0-0", follow=False))
        ) == ["one", "two"]
    assert [line["event"] for line in logs] == ["bad_event"] * 4
    assert all(line["why"].startswith("the event") for line in logs)


async def test_a_foreign_key_ends_it_with_the_error_itself(six_shards: PublishedResults) -> None:
    await six_shards.redis.set(Shard(2).results, "something else")
    alone = asyncio.all_tasks()
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await read_all(six_shards.subscriber(since="0-0"))
    assert asyncio.all_tasks() == alone, "no reader is left behind"


async def test_who_leaves_early_leaves_no_reader_behind(six_shards: PublishedResults) -> None:
    for session in SESSIONS:
        await six_shards.say("hello", session=session)
    alone = asyncio.all_tasks()
    async with aclosing(six_shards.subscriber(since="0-0").events()) as events:
        async for _ in events:
            break
    assert asyncio.all_tasks() == alone


async def test_an_error_of_the_reader_does_not_cancel_who_is_busy_with_an_event(
    six_shards: PublishedResults,
) -> None:
    """The consumer's own work is its own: it hears of the error when it asks for the next event."""
    await six_shards.say("hello", session="a")
    other = six_shards.store.shard("b")
    assert six_shards.store.shard("a") != other
    done = 0

    async def consume() -> None:
        nonlocal done
        async with aclosing(six_shards.subscriber(since="0-0").events()) as events:
            async for _ in events:
                await six_shards.redis.set(other.results, "something else")
                await asyncio.sleep(0.1)  # in which the other reader fails
                done += 1

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await consume()
    assert done == 2
