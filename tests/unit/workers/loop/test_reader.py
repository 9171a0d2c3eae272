"""A reader finds what is new, what was given back and what was abandoned, and nothing else."""

import asyncio
from typing import Any

import pytest

from common.keys import DEFERRED, HANDED_BACK, STT_GROUP, Shard
from common.redis.client_options import SOCKET_TIMEOUT_S
from common.redis.link import Link
from common.redis.store import Store
from common.settings import RedisSettings
from common.transitions.claims import hand_back
from tests.support.waiting import until
from workers.loop import reader as module
from workers.loop.handler import Delivery
from workers.loop.reader import BLOCK_MS, Reader

SHARD = Shard(0)
LIVE, RECORDED = SHARD.utterances, SHARD.recordings
ME, OTHER = "stt-me", "stt-other"
CLAIM_S = 10.0

pytestmark = pytest.mark.parametrize("redis_server", ["installed", "embedded"], indirect=True)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A reader called ME, and what others do to its streams."""

    def __init__(self, store: Store) -> None:
        self.redis: Any = store.redis
        self.store = store
        self.clock = Clock()
        self.link = Link(
            store.redis,
            RedisSettings(url="redis://nowhere"),
            max_pause_s=0.01,
            clock=self.clock,
        )
        self.reader = Reader(
            store, self.link, SHARD, [LIVE, RECORDED], STT_GROUP, ME, claim_idle_s=CLAIM_S
        )

    async def add(self, stream: str = LIVE, count: int = 1) -> list[str]:
        return [(await self.redis.xadd(stream, {"n": n})).decode() for n in range(count)]

    async def taken_by_other(
        self, stream: str = LIVE, *, count: int = 1, idle_s: float = 0.0, deliveries: int = 1
    ) -> list[str]:
        """Entries that OTHER has been silent about for `idle_s`."""
        entries = await self.add(stream, count)
        await self.redis.xreadgroup(STT_GROUP, OTHER, {stream: ">"}, count=count)
        for entry in entries:
            await self.redis.xclaim(
                stream,
                STT_GROUP,
                OTHER,
                0,
                [entry],
                idle=round(1000 * idle_s),
                retrycount=deliveries,
                justid=True,
            )
        return entries

    async def connected_for(self, seconds: float) -> None:
        await self.link.call(self.redis.ping)
        self.clock.now += seconds

    async def pending(self, stream: str = LIVE) -> dict[str, tuple[str, int]]:
        rows = await self.redis.xpending_range(stream, STT_GROUP, "-", "+", 1_000)
        return {
            row["message_id"].decode(): (row["consumer"].decode(), row["times_delivered"])
            for row in rows
        }


@pytest.fixture
async def bench(store: Store) -> Bench:
    bench = Bench(store)
    await bench.reader.make_groups()
    return bench


def places(deliveries: list[Delivery]) -> list[tuple[str, str, int]]:
    return [
        (delivery.claim.stream, delivery.claim.entry, delivery.number) for delivery in deliveries
    ]


async def test_groups_are_made_from_the_start_of_the_stream_and_only_once(store: Store) -> None:
    bench = Bench(store)
    [entry] = await bench.add()
    await bench.reader.make_groups()
    await bench.reader.make_groups()
    assert places(await bench.reader.read_available()) == [(LIVE, entry, 1)]


async def test_what_is_recorded_waits_for_all_that_is_live(bench: Bench) -> None:
    [recorded] = await bench.add(RECORDED)
    [live] = await bench.add(LIVE)
    assert places(await bench.reader.read_available()) == [(LIVE, live, 1)]
    assert places(await bench.reader.read_available()) == [(RECORDED, recorded, 1)]
    assert await bench.reader.read_available() == []


async def test_it_waits_for_news_but_not_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_MS", 1)
    assert await bench.reader.wait_for_new() == []
    monkeypatch.setattr(module, "BLOCK_MS", 4_000)
    waiting = asyncio.create_task(bench.reader.wait_for_new())
    await _blocked(bench)
    [entry] = await bench.add()
    assert places(await waiting) == [(LIVE, entry, 1)]


async def _blocked(bench: Bench) -> None:
    async with asyncio.timeout(10):
        # the server tells nobody that it blocks a client
        while (await bench.redis.info("clients"))["blocked_clients"] == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_was_handed_back_is_free_at_once_and_counts_as_before(bench: Bench) -> None:
    [entry] = await bench.taken_by_other(deliveries=2)
    await hand_back(bench.store, LIVE, STT_GROUP, OTHER, [entry])
    assert places(await bench.reader.take_over(1)) == [(LIVE, entry, 2)]
    assert await bench.pending() == {entry: (ME, 2)}


async def test_two_who_want_the_same_handed_back_entry_do_not_both_get_it(bench: Bench) -> None:
    [entry] = await bench.taken_by_other()
    await hand_back(bench.store, LIVE, STT_GROUP, OTHER, [entry])
    rival = Reader(
        bench.store, bench.link, SHARD, [LIVE], STT_GROUP, "stt-rival", claim_idle_s=CLAIM_S
    )
    both = await asyncio.gather(bench.reader.take_over(1), rival.take_over(1))
    assert sorted(len(deliveries) for deliveries in both) == [0, 1]


async def test_the_silent_are_relieved_and_the_others_are_not(bench: Bench) -> None:
    [abandoned] = await bench.taken_by_other(idle_s=CLAIM_S + 1, deliveries=2)
    await bench.taken_by_other(idle_s=CLAIM_S - 5)
    await bench.connected_for(CLAIM_S)
    assert places(await bench.reader.take_over(5)) == [(LIVE, abandoned, 3)]
    assert await bench.reader.take_over(5) == []


async def test_after_an_outage_others_get_their_time_to_beat_again(bench: Bench) -> None:
    [abandoned] = await bench.taken_by_other(idle_s=CLAIM_S + 1)
    await bench.connected_for(CLAIM_S - 0.1)
    assert await bench.reader.take_over(5) == []
    await bench.connected_for(0.2)
    assert places(await bench.reader.take_over(5)) == [(LIVE, abandoned, 2)]


async def test_an_outage_starts_the_wait_anew(bench: Bench) -> None:
    await bench.taken_by_other(idle_s=CLAIM_S + 1)
    await bench.connected_for(CLAIM_S + 1)

    async def away() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await bench.link.call(away)
    await bench.connected_for(CLAIM_S - 1)
    assert await bench.reader.take_over(5) == []


async def test_no_more_is_taken_over_than_there_is_room_for(bench: Bench) -> None:
    entries = await bench.taken_by_other(count=7, idle_s=CLAIM_S + 1)
    await bench.connected_for(CLAIM_S)
    found = []
    for _ in range(4):
        deliveries = await bench.reader.take_over(2)
        assert len(deliveries) <= 2
        found += [delivery.claim.entry for delivery in deliveries]
    assert found == entries


async def test_the_abandoned_are_found_behind_many_that_are_not(bench: Bench) -> None:
    await bench.taken_by_other(count=55)
    [abandoned] = await bench.taken_by_other(idle_s=CLAIM_S + 1)
    await bench.connected_for(CLAIM_S)
    assert places(await bench.reader.take_over(1)) == [(LIVE, abandoned, 2)]


async def test_what_is_left_of_recordings_waits_for_all_that_is_live(bench: Bench) -> None:
    [recorded] = await bench.taken_by_other(RECORDED, idle_s=CLAIM_S + 1)
    [given_back] = await bench.taken_by_other(RECORDED)
    await hand_back(bench.store, RECORDED, STT_GROUP, OTHER, [given_back])
    [live] = await bench.add(LIVE)
    await bench.connected_for(CLAIM_S)
    order = [places(await bench.reader.take_over(1)) for _ in range(3)]
    assert order == [[(LIVE, live, 1)], [(RECORDED, given_back, 1)], [(RECORDED, recorded, 2)]]


@pytest.mark.parametrize("how", ["abandoned", "handed back"])
async def test_an_entry_that_vanished_leaves_no_claim(bench: Bench, how: str) -> None:
    [entry] = await bench.taken_by_other(idle_s=CLAIM_S + 1)
    if how == "handed back":
        await hand_back(bench.store, LIVE, STT_GROUP, OTHER, [entry])
    await bench.redis.xdel(LIVE, entry)
    await bench.connected_for(CLAIM_S)
    assert await bench.reader.take_over(5) == []
    assert await bench.reader.take_over(5) == []
    assert await bench.pending() == {}


async def test_a_vanished_entry_hides_no_other(bench: Bench) -> None:
    vanished, kept = await bench.taken_by_other(count=2, idle_s=CLAIM_S + 1)
    await bench.redis.xdel(LIVE, vanished)
    await bench.connected_for(CLAIM_S)
    found: list[str] = []
    for _ in range(3):
        found += [delivery.claim.entry for delivery in await bench.reader.take_over(5)]
    assert found == [kept]


async def test_what_is_deferred_waits_for_its_time_and_counts_as_before(bench: Bench) -> None:
    [early, due] = await bench.taken_by_other(count=2, deliveries=2)
    await hand_back(bench.store, LIVE, STT_GROUP, OTHER, [early], pause_s=100)
    await hand_back(bench.store, LIVE, STT_GROUP, OTHER, [due], pause_s=0.001)
    await bench.connected_for(CLAIM_S)
    await until(lambda: bench.reader.take_over(5))
    assert await bench.pending() == {early: (DEFERRED, 1), due: (ME, 2)}
    assert await bench.reader.take_over(5) == [], "deferred work is not abandoned work"


async def test_deferred_work_is_found_behind_much_that_has_to_wait(bench: Bench) -> None:
    entries = await bench.taken_by_other(count=250)
    await hand_back(bench.store, LIVE, STT_GROUP, OTHER, entries[:-1], pause_s=100)
    [abandoned] = await bench.taken_by_other(idle_s=CLAIM_S + 1)
    await hand_back(bench.store, LIVE, STT_GROUP, OTHER, entries[-1:], pause_s=0.001)
    found: list[str] = []

    async def take() -> bool:
        await bench.connected_for(CLAIM_S)
        found.extend(delivery.claim.entry for delivery in await bench.reader.take_over(1))
        return len(found) == 2

    await until(take)
    assert sorted(found) == sorted([entries[-1], abandoned])


async def test_a_pause_beyond_the_limit_is_cut(bench: Bench) -> None:
    """And a clock that was set back by more than that lets nothing wait for longer."""
    [entry] = await bench.taken_by_other()
    await hand_back(bench.store, LIVE, STT_GROUP, OTHER, [entry], pause_s=1e9)
    [row] = await bench.redis.xpending_range(LIVE, STT_GROUP, "-", "+", 1)
    assert row["time_since_delivered"] >= 86_400_000 - 300_000
    assert await bench.reader.take_over(1) == []
    # as it looks when the clock has gone back by an hour
    await bench.redis.xclaim(
        LIVE, STT_GROUP, DEFERRED, 0, [entry], idle=86_400_000 - 300_000 - 3_600_000, justid=True
    )
    assert places(await bench.reader.take_over(1)) == [(LIVE, entry, 1)]


async def test_what_failed_here_is_left_to_others_for_a_moment(bench: Bench) -> None:
    bench.reader = Reader(
        bench.store,
        bench.link,
        SHARD,
        [LIVE],
        STT_GROUP,
        ME,
        claim_idle_s=CLAIM_S,
        grace_s=100,
    )
    [entry] = await bench.add()
    [delivery] = await bench.reader.read_available()
    bench.reader.note_failure(delivery)
    await hand_back(bench.store, LIVE, STT_GROUP, ME, [entry], pause_s=0.001)
    rival = Reader(bench.store, bench.link, SHARD, [LIVE], STT_GROUP, OTHER, claim_idle_s=CLAIM_S)
    assert await bench.reader.take_over(1) == []
    [other] = await until(lambda: rival.take_over(1))
    assert (other.claim.entry, other.number, other.kind) == (entry, 1, "deferred")


async def test_nobody_takes_from_a_colleague_who_is_called_handed_back_by_chance(
    bench: Bench,
) -> None:
    """Only what `hand_back` put there has the age at which it may be taken."""
    [entry] = await bench.add()
    await bench.redis.xreadgroup(STT_GROUP, HANDED_BACK, {LIVE: ">"}, count=1)
    assert await bench.reader.take_over(1) == []
    assert await bench.pending() == {entry: (HANDED_BACK, 1)}


def test_a_blocking_read_ends_before_the_socket_gives_up(redis_server: object) -> None:
    assert BLOCK_MS / 1000 <= SOCKET_TIMEOUT_S / 2
