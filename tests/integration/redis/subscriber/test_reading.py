"""A subscriber reads every event once, over shards and both streams, from any cursor on."""

from contextlib import aclosing

from common.events import Event
from common.keys import Shard
from common.results.subscriber import BATCH, Received
from tests.integration.redis.subscriber.published_results import (
    SESSIONS,
    PublishedResults,
    read_all,
    transcript_texts,
)


def _identity(event: Event) -> tuple[str, str, int]:
    return event.type, event.session, event.turn


async def test_everything_that_is_kept_in_the_order_of_its_session(
    published: PublishedResults,
) -> None:
    await published.say("one", "two", "three")
    received = await read_all(published.subscriber(since="0-0", follow=False))
    assert [one.event.type for one in received] == ["heard", "transcript"] * 3
    assert transcript_texts(received) == ["one", "two", "three"]
    assert {one.stream for one in received} == {Shard(0).results}


async def test_nothing_is_everything_where_nothing_was_said(published: PublishedResults) -> None:
    for since in ("0-0", "$", "5-0"):
        assert await read_all(published.subscriber(since=since, follow=False)) == []


async def test_only_what_is_new(published: PublishedResults) -> None:
    await published.say("before")
    assert await read_all(published.subscriber(follow=False)) == []


async def test_from_an_entry_on(published: PublishedResults) -> None:
    await published.say("one", "two")
    everything = await read_all(published.subscriber(since="0-0", follow=False))
    rest = await read_all(published.subscriber(since=everything[1].entry, follow=False))
    assert rest == everything[2:]


async def test_shards_and_both_streams_are_merged(six_shards: PublishedResults) -> None:
    for session in SESSIONS:
        await six_shards.say("hello", session=session)
        await six_shards.delta("hi", session=session)
    received = await read_all(six_shards.subscriber(since="0-0", follow=False))
    kinds = ("heard", "transcript", "reply.delta")
    assert sorted(_identity(one.event) for one in received) == sorted(
        (kind, session, 1) for kind in kinds for session in SESSIONS
    )
    assert len({one.stream for one in received}) > 2
    without = await read_all(six_shards.subscriber(since="0-0", follow=False, deltas=False))
    assert {one.event.type for one in without} == {"heard", "transcript"}


async def test_one_session_alone(six_shards: PublishedResults) -> None:
    for session in SESSIONS:
        await six_shards.say("hello", session=session)
    received = await read_all(six_shards.subscriber(since="0-0", session="c", follow=False))
    assert [_identity(one.event) for one in received] == [("heard", "c", 1), ("transcript", "c", 1)]


async def test_from_a_cursor_on_nothing_is_missed_and_nothing_comes_twice(
    six_shards: PublishedResults,
) -> None:
    for session in SESSIONS:
        await six_shards.say("one", "two", session=session)
    everything = await read_all(six_shards.subscriber(since="0-0", follow=False))
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
    assert (
        transcript_texts(await read_all(published.subscriber(since="0-0", follow=False))) == texts
    )
