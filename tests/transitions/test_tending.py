"""Nobody's turn stays nobody's: what a silent producer, a vanished entry or a vanished wake-up
leaves behind is ended or woken; what is in somebody's hands is left alone. Readers' streams are
bounded."""

from common.events import Error, Skipped
from common.keys import STT_GROUP
from common.redis.store import Store
from common.transitions.claims import Settled
from common.transitions.publishing import publish
from common.transitions.tending import Trimmed, due_sessions, tend, trim
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    STT,
    assert_at_rest,
    bury,
    events,
    everything,
    hear,
    hear_eager,
    hear_text,
    is_open,
    limited,
    next_ms,
    pending,
    read,
    redis,
    reply,
    settle,
    skip,
    spoken,
    story,
    take,
    transcribe,
    wakes,
)

pytestmark = ON_BOTH_SERVERS
LONG_S = 60.0


def patient(store: Store) -> Store:
    """No timeout passes during a test."""
    return limited(store, turn_timeout_s=LONG_S, tend_after_s=LONG_S)


async def tend_late(store: Store) -> list[str]:
    """Tend after all timeouts of the store have passed."""
    await next_ms(store)
    return await tend(store, ADA)


async def test_a_session_is_due_after_a_while(clean_store: Store) -> None:
    await publish(patient(clean_store), spoken())
    assert await due_sessions(clean_store, SHARD, 10) == []
    await publish(clean_store, spoken("u2"))
    await next_ms(clean_store)
    assert await due_sessions(clean_store, SHARD, 10) == [ADA]
    await tend(patient(clean_store), ADA)
    assert await due_sessions(clean_store, SHARD, 10) == []


async def test_no_more_sessions_are_due_than_wanted(clean_store: Store) -> None:
    for session in ("a", "b", "c"):
        await publish(clean_store, spoken(session).model_copy(update={"session": session}))
    await next_ms(clean_store)
    assert await due_sessions(clean_store, SHARD, 2) == ["a", "b"]


async def test_when_all_is_well_nothing_is_done(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    before = await everything(clean_store)
    assert await tend_late(clean_store) == []
    del before[SHARD.open.encode()]  # it is due again later
    assert before.items() <= (await everything(clean_store)).items()


async def test_an_unknown_session_is_no_trouble(clean_store: Store) -> None:
    await redis(clean_store).zadd(SHARD.open, {ADA: 0})
    assert await tend(clean_store, ADA) == []
    assert await everything(clean_store) == {}


async def test_an_eager_turn_whose_producer_fell_silent_expires(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await hear_text(clean_store, "u2")
    assert await tend(patient(clean_store), ADA) == []
    assert await tend_late(clean_store) == ["expired"]
    assert (await story(clean_store))[-1] == "skipped 1 expired"
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await wakes(clean_store) == ["2"]


async def test_an_expired_turn_tells_nothing_of_what_was_said(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await settle(clean_store, *await read(clean_store), "a secret", avg_logprob=-0.5)
    assert await tend_late(clean_store) == ["expired"]
    assert await story(clean_store) == ["heard 1", "skipped 1 expired"]
    skipped = (await events(clean_store))[-1]
    assert isinstance(skipped, Skipped)
    assert skipped.data.detail is None
    await assert_at_rest(clean_store)


async def test_an_uncommitted_burial_expires_as_well(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await bury(clean_store, *await read(clean_store))
    assert await tend_late(clean_store) == ["expired"]
    assert await story(clean_store) == ["heard 1", "skipped 1 expired"]


async def test_an_expired_turn_is_taken_from_its_worker(clean_store: Store) -> None:
    await hear_eager(clean_store)
    claim, fields = await read(clean_store)
    assert await tend_late(clean_store) == ["expired"]
    assert await pending(clean_store, SHARD.utterances) == []
    assert await settle(clean_store, claim, fields) is Settled.LOST


async def test_committed_turns_never_expire(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    await hear_text(clean_store, "u2")
    assert await tend_late(clean_store) == []
    await settle(clean_store, *await read(clean_store))
    assert await tend_late(clean_store) == []


async def test_a_revision_is_a_sign_of_life(clean_store: Store) -> None:
    store = limited(clean_store, turn_timeout_s=LONG_S)
    await hear_eager(store)
    await set_touched(store, LONG_S + 1)
    assert await hear_eager(store, revision=2)
    assert await tend(store, ADA) == []
    await set_touched(store, LONG_S + 1)
    assert await tend(store, ADA) == ["expired"]


async def set_touched(store: Store, ago_s: float) -> None:
    """Make the first turn's record look as if it was touched so long ago."""
    await redis(store).eval(
        """
        local record = cjson.decode(redis.call('HGET', KEYS[1], 1))
        record.touched = record.touched - tonumber(ARGV[1])
        redis.call('HSET', KEYS[1], 1, cjson.encode(record))
        """,
        1,
        SHARD.inbox(ADA),
        ago_s * 1000,
    )


async def test_an_entry_that_vanished_ends_its_turn(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    await hear_text(clean_store, "u2")
    await redis(clean_store).delete(SHARD.utterances)
    assert await tend(clean_store, ADA) == ["lost"]
    error = (await events(clean_store))[-1]
    assert isinstance(error, Error)
    assert (error.turn, error.id, error.data.stage, error.data.reason) == (1, "u1", "tend", "lost")
    assert await wakes(clean_store) == ["2"]


async def test_a_recording_that_vanished_ends_its_turn(clean_store: Store) -> None:
    await publish(clean_store, spoken(), recording=True)
    assert await tend(clean_store, ADA) == []
    await redis(clean_store).delete(SHARD.recordings)
    assert await tend(clean_store, ADA) == ["lost"]


async def test_what_vanished_while_a_worker_has_it_is_the_workers(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    await redis(clean_store).xdel(SHARD.utterances, claim.entry)
    assert await tend(patient(clean_store), ADA) == []
    assert await settle(clean_store, claim, fields) is Settled.OK
    assert await story(clean_store) == ["heard 1", "transcript 1 u1"]


async def test_what_vanished_from_a_silent_worker_is_lost(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    await redis(clean_store).xclaim(
        *(SHARD.utterances, STT_GROUP, STT, 0, [claim.entry]),
        idle=int(LONG_S * 1000),
        justid=True,
    )
    await redis(clean_store).xdel(SHARD.utterances, claim.entry)
    assert await tend(patient(clean_store), ADA) == ["lost"]
    assert await pending(clean_store, SHARD.utterances) == []
    assert await settle(clean_store, claim, fields) is Settled.LOST
    await assert_at_rest(clean_store)


async def test_a_record_that_vanished_ends_its_turn(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    await hear_text(clean_store, "u2")
    await redis(clean_store).hdel(SHARD.inbox(ADA), 1)
    assert await tend(clean_store, ADA) == ["lost"]
    assert (await story(clean_store))[-1] == "error 1 lost"
    assert await wakes(clean_store) == ["2"]


async def test_tombstones_behind_an_expired_head_keep_their_one_ending(clean_store: Store) -> None:
    await hear_eager(clean_store, "a")
    await hear(clean_store, "b")
    await hear_eager(clean_store, "c")
    await read(clean_store)
    assert await skip(clean_store, *await read(clean_store)) is Settled.OK
    assert await tend_late(clean_store) == ["expired", "expired"]
    assert (await story(clean_store))[3:] == [
        "skipped 2 noise",
        "skipped 1 expired",
        "skipped 3 expired",
    ]
    await assert_at_rest(clean_store)


async def test_a_vanished_wake_up_is_made_again(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    await redis(clean_store).xtrim(SHARD.turns, maxlen=0, approximate=False)
    assert await tend(clean_store, ADA) == ["woken"]
    assert await wakes(clean_store) == ["1"]
    assert await tend(clean_store, ADA) == []
    await reply(clean_store, await take(clean_store))
    await assert_at_rest(clean_store)


async def test_a_session_that_fell_out_of_open_comes_back(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    await redis(clean_store).delete(SHARD.open)
    await transcribe(clean_store)
    assert await is_open(clean_store)


async def test_readers_streams_are_bounded_by_age(clean_store: Store) -> None:
    await redis(clean_store).xadd(SHARD.results, {"x": "old"}, id="1-1")
    await redis(clean_store).xadd(SHARD.deltas, {"x": "old"}, id="1-1")
    for _ in range(150):  # XTRIM with ~ removes whole nodes of 100
        await redis(clean_store).xadd(SHARD.results, {"x": "old"})
    await next_ms(clean_store)
    store = limited(clean_store, results_age_s=0.001, deltas_age_s=0.001)
    assert await trim(store, SHARD) == Trimmed(0, 0, 0)
    assert await redis(clean_store).xlen(SHARD.results) <= 100


async def test_readers_streams_are_bounded_by_count_and_that_is_told(clean_store: Store) -> None:
    for stream in (SHARD.results, SHARD.deltas, SHARD.dead):
        for _ in range(250):
            await redis(clean_store).xadd(stream, {"x": "y"})
    store = limited(clean_store, results_max=100, deltas_max=100, dead_max=3)
    trimmed = await trim(store, SHARD)
    assert trimmed.dead == 247
    assert await redis(clean_store).xlen(SHARD.dead) == 3
    for stream, gone in ((SHARD.results, trimmed.results), (SHARD.deltas, trimmed.deltas)):
        assert gone >= 100
        assert 100 <= await redis(clean_store).xlen(stream) == 250 - gone


async def test_trimming_nothing_makes_nothing(clean_store: Store) -> None:
    assert await trim(clean_store, SHARD) == Trimmed(0, 0, 0)
    assert await everything(clean_store) == {}


async def test_dead_letters_go_by_age_only_if_they_have_one(clean_store: Store) -> None:
    client = redis(clean_store)
    await client.xadd(SHARD.dead, {"id": "old"}, id="1000-0")
    await client.xadd(SHARD.dead, {"id": "new"})
    await trim(clean_store, SHARD)
    assert await client.xlen(SHARD.dead) == 2
    limits = clean_store.limits.model_copy(update={"dead_age_s": 3600})
    await trim(Store(clean_store.redis, 1, limits), SHARD)
    assert [fields for _, fields in await client.xrange(SHARD.dead)] == [{b"id": b"new"}]
