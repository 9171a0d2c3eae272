"""A subscriber that follows misses nothing while Redis restarts, forgets or goes back in time."""

import asyncio

import pytest
from structlog.testing import capture_logs

from common.keys import Shard
from tests.integration.redis.subscriber.published_results import (
    Following,
    PublishedResults,
    transcript_texts,
)
from tests.support.redis_server import RedisServer
from tests.support.waiting import until


async def test_what_comes_later_is_seen_as_it_comes(published: PublishedResults) -> None:
    await published.say("before")
    async with Following(published.subscriber(since="0-0")) as following:
        assert await following.texts(1) == ["before"]
        await published.say("one")
        assert await following.texts(2) == ["before", "one"]
        await published.say("two", "three")
        assert await following.texts(4) == ["before", "one", "two", "three"]


async def test_the_first_event_of_an_empty_server_is_not_missed(
    redis_server: RedisServer, published: PublishedResults
) -> None:
    async with Following(published.subscriber()) as following:
        with redis_server.sync_client() as client:
            await until(lambda: any(one["cmd"] == "xread" for one in client.client_list()))
        await published.say("one")
        assert await following.texts(1) == ["one"]


@pytest.mark.parametrize("clean", [True, False])
async def test_over_a_restart_nothing_is_missed_and_nothing_comes_twice(clean: bool) -> None:
    with RedisServer(options={"appendonly": "yes", "appendfsync": "always"}) as server:
        published = PublishedResults(server)
        async with Following(published.subscriber(since="0-0")) as following:
            for number in range(3):
                await published.say(f"before {number}")
                await asyncio.to_thread(server.restart, clean=clean)
                await published.say(f"after {number}")
            texts = await following.texts(6)
        await published.redis.aclose()
    assert texts == [f"{when} {number}" for number in range(3) for when in ("before", "after")]


async def test_it_may_begin_before_redis_does(redis_server: RedisServer) -> None:
    redis_server.kill()
    published = PublishedResults(redis_server)
    async with Following(published.subscriber()) as following:
        await until(lambda: published.link.outages)
        await asyncio.to_thread(redis_server.start)
        while not following.received:
            await published.say("hello")
            await asyncio.sleep(0.05)
        assert set(transcript_texts(following.received)) == {"hello"}
    await published.redis.aclose()


async def test_after_a_flush_it_goes_on_and_says_so(published: PublishedResults) -> None:
    with capture_logs() as logs:
        async with Following(published.subscriber(since="0-0")) as following:
            await published.say("one")
            await following.texts(1)
            await published.redis.flushall()
            await until(lambda: [line for line in logs if line["event"] == "server_went_back"])
            await published.say("two")
            assert await following.texts(2) == ["one", "two"]
    (told,) = [line for line in logs if line["event"] == "server_went_back"]
    assert told["stream"] == Shard(0).results
    assert told["server"] == "0-0"


async def test_a_server_that_forgot_the_newest_is_noticed_at_its_return(
    redis_server: RedisServer,
) -> None:
    published = PublishedResults(redis_server)
    with capture_logs() as logs:
        async with Following(published.subscriber(since="0-0")) as following:
            await published.say("kept")
            await following.texts(1)
            await published.redis.save()
            await published.say("forgotten")
            await following.texts(2)
            await asyncio.to_thread(redis_server.restart)
            await published.say("new")
            assert await following.texts(3) == ["kept", "forgotten", "new"]
    went_back = [line for line in logs if line["event"] == "server_went_back"]
    assert len(went_back) <= 1  # unless it was read on before it was looked at
    await published.redis.aclose()


async def test_a_stream_that_ends_before_the_cursor_is_read_from_its_end(
    published: PublishedResults,
) -> None:
    """As after a failover to a replica whose clock is behind: new entries have smaller ids."""
    await published.say("old")
    stream = Shard(0).results
    cursors = {stream: "99999999999999-0", Shard(0).deltas: "0-0"}
    with capture_logs() as logs:
        async with Following(published.subscriber(cursors=cursors)) as following:
            await until(lambda: logs)
            await published.say("new")
            assert await following.texts(1) == ["new"]
    assert logs[0]["event"] == "server_went_back"
    assert logs[0]["cursor"] == "99999999999999-0"


async def test_a_beginning_that_has_not_come_yet_is_no_journey_back(
    published: PublishedResults,
) -> None:
    await published.say("old")
    with capture_logs() as logs:
        async with Following(published.subscriber(since="99999999999999-0")) as following:
            for _ in range(10):  # as many reads as would make it look
                await asyncio.sleep(0.02)
            await published.say("new")
            assert await following.texts(1) == ["new"]
    assert logs == []
