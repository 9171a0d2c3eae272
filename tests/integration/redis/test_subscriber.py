"""A subscriber sees every event once: over shards and both streams, from any cursor on, while
Redis restarts, forgets or goes back in time; what is no event is skipped aloud."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

import common.results.subscriber
from common.events import Event, Transcript
from common.keys import Shard
from common.redis.client import connect
from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import BATCH, Received, Subscriber
from common.settings import LimitSettings, RedisSettings
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

PATIENCE_S = 30.0
SESSIONS = "abcdef"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common.results.subscriber, "BLOCK_MS", 20)
    monkeypatch.setattr(common.results.subscriber, "CHECK_AFTER_EMPTY", 2)


class PublishedResults:
    """A store with a link, and what is said in it."""

    def __init__(self, server: RedisServer, shards: int = 1) -> None:
        settings = RedisSettings(url=server.url)
        self.store = Store(connect(settings), shards, LimitSettings())
        self.link = Link(self.store.redis, settings, max_pause_s=0.05)
        self._count = 0

    @property
    def redis(self) -> Any:
        return self.store.redis

    async def say(self, *texts: str, session: str = "a") -> None:
        """Each makes two events: `heard` and `transcript`."""
        for text in texts:
            self._count += 1
            await self.link.retry_until_answered(
                publish,
                self.store,
                Utterance(id=f"u{self._count}", session=session, text=text),
            )

    async def delta(self, text: str, session: str = "a") -> None:
        await self.redis.xadd(
            self.store.shard(session).deltas,
            {
                "v": 1,
                "type": "reply.delta",
                "session": session,
                "epoch": 1,
                "turn": 1,
                "id": "u1",
                "at": 1,
                "data": json.dumps({"attempt": 1, "index": 0, "text": text}),
            },
        )

    def subscriber(self, **options: Any) -> Subscriber:
        return Subscriber(self.store, self.link, **options)


@pytest.fixture
async def published(redis_server: RedisServer) -> AsyncIterator[PublishedResults]:
    published = PublishedResults(redis_server)
    yield published
    await published.redis.aclose()


@pytest.fixture
async def six_shards(redis_server: RedisServer) -> AsyncIterator[PublishedResults]:
    published = PublishedResults(redis_server, shards=6)
    yield published
    await published.redis.aclose()


async def _all(subscriber: Subscriber) -> list[Received]:
    """Everything that there is."""
    async with asyncio.timeout(PATIENCE_S), aclosing(subscriber.events()) as events:
        return [received async for received in events]


class Following:
    """A subscriber that follows, in a task of its own."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.received: list[Received] = []
        self._subscriber = subscriber
        self._more = asyncio.Condition()
        self._task = asyncio.create_task(self._follow())

    async def __aenter__(self) -> "Following":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        async with aclosing(self._subscriber.events()) as events:
            async for received in events:
                async with self._more:
                    self.received.append(received)
                    self._more.notify_all()

    async def texts(self, count: int) -> list[str]:
        """The texts of the transcripts, as soon as there are `count`."""
        async with asyncio.timeout(PATIENCE_S), self._more:
            await self._more.wait_for(lambda: len(_texts(self.received)) >= count)
        return _texts(self.received)


def _texts(received: list[Received]) -> list[str]:
    return [one.event.data.text for one in received if isinstance(one.event, Transcript)]


def _identity(event: Event) -> tuple[str, str, int]:
    return event.type, event.session, event.turn


# -- what there is


async def test_everything_that_is_kept_in_the_order_of_its_session(
    published: PublishedResults,
) -> None:
    await published.say("one", "two", "three")
    received = await _all(published.subscriber(since="0-0", follow=False))
    assert [one.event.type for one in received] == ["heard", "transcript"] * 3
    assert _texts(received) == ["one", "two", "three"]
    assert {one.stream for one in received} == {Shard(0).results}


async def test_nothing_is_everything_where_nothing_was_said(published: PublishedResults) -> None:
    for since in ("0-0", "$", "5-0"):
        assert await _all(published.subscriber(since=since, follow=False)) == []


async def test_only_what_is_new(published: PublishedResults) -> None:
    await published.say("before")
    assert await _all(published.subscriber(follow=False)) == []


async def test_from_an_entry_on(published: PublishedResults) -> None:
    await published.say("one", "two")
    everything = await _all(published.subscriber(since="0-0", follow=False))
    rest = await _all(published.subscriber(since=everything[1].entry, follow=False))
    assert rest == everything[2:]


async def test_shards_and_both_streams_are_merged(six_shards: PublishedResults) -> None:
    for session in SESSIONS:
        await six_shards.say("hello", session=session)
        await six_shards.delta("hi", session=session)
    received = await _all(six_shards.subscriber(since="0-0", follow=False))
    kinds = ("heard", "transcript", "reply.delta")
    assert sorted(_identity(one.event) for one in received) == sorted(
        (kind, session, 1) for kind in kinds for session in SESSIONS
    )
    assert len({one.stream for one in received}) > 2
    without = await _all(six_shards.subscriber(since="0-0", follow=False, deltas=False))
    assert {one.event.type for one in without} == {"heard", "transcript"}


async def test_one_session_alone(six_shards: PublishedResults) -> None:
    for session in SESSIONS:
        await six_shards.say("hello", session=session)
    received = await _all(six_shards.subscriber(since="0-0", session="c", follow=False))
    assert [_identity(one.event) for one in received] == [("heard", "c", 1), ("transcript", "c", 1)]


async def test_from_a_cursor_on_nothing_is_missed_and_nothing_comes_twice(
    six_shards: PublishedResults,
) -> None:
    for session in SESSIONS:
        await six_shards.say("one", "two", session=session)
    everything = await _all(six_shards.subscriber(since="0-0", follow=False))
    cursors: dict[str, str] = {}
    seen: list[Received] = []
    while len(seen) < len(everything):  # dies after every fifth event
        subscriber = six_shards.subscriber(since="0-0", follow=False, cursors=dict(cursors))
        async with aclosing(subscriber.events()) as events:
            before = len(seen)
            async for received in events:
                cursors[received.stream] = received.entry
                seen.append(received)
                if len(seen) == before + 5:
                    break
    assert sorted(seen, key=str) == sorted(everything, key=str)


async def test_more_than_fits_into_one_answer(published: PublishedResults) -> None:
    texts = [f"sentence {number}" for number in range(BATCH + 50)]
    for number, text in enumerate(texts):  # a session takes no more than 100 unanswered turns
        await published.say(text, session=f"s{number % 10}")
    assert _texts(await _all(published.subscriber(since="0-0", follow=False))) == texts


# -- following


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
        assert set(_texts(following.received)) == {"hello"}
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


# -- what is wrong


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
        assert _texts(await _all(published.subscriber(since="0-0", follow=False))) == ["one", "two"]
    assert [line["event"] for line in logs] == ["bad_event"] * 4
    assert all(line["why"].startswith("the event") for line in logs)


async def test_a_foreign_key_ends_it_with_the_error_itself(six_shards: PublishedResults) -> None:
    await six_shards.redis.set(Shard(2).results, "something else")
    alone = asyncio.all_tasks()
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await _all(six_shards.subscriber(since="0-0"))
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
