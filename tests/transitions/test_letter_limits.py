"""Dead letters are bounded by their number and by their bytes. The bytes are counted exactly by the
scripts, however letters come and go, and the oldest go first.
"""

import random
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from common.redis.store import Store
from common.status.dead_letters import find_dead_letter, list_letters
from common.status.snapshot import take_snapshot
from common.telemetry.metrics import OLDEST_DROPPED
from common.transitions.answering import bury_turn
from common.transitions.claims import Settled
from common.transitions.dead_letters import drop_letter, replay
from common.transitions.letter_limits import count_letters
from common.transitions.publishing import Verdict
from common.transitions.tending import report_trimmed, trim
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    bury,
    everything,
    hear,
    hear_text,
    limited,
    read,
    redis,
    story,
    take,
)

pytestmark = ON_BOTH_SERVERS
MIB: Final = 2**20


async def letters(store: Store) -> dict[str, int]:
    """The bytes of each letter, as they stand in the stream."""
    rows = await redis(store).execute_command("XRANGE", SHARD.dead, "-", "+")
    return {
        entry.decode(): sum(len(name) + len(value) for name, value in fields.items())
        for entry, fields in rows
    }


async def counted(store: Store) -> int:
    """The bytes as the scripts count them, after a check that each letter has its own."""
    found = await letters(store)
    sizes = await redis(store).zrange(SHARD.letters["dead_sizes"], 0, -1)
    assert {line.decode() for line in sizes} == {f"{entry} {n}" for entry, n in found.items()}
    total = int(await redis(store).get(SHARD.letters["dead_bytes"]) or 0)
    assert total == sum(found.values())
    assert (await take_snapshot(store)).dead_letter_bytes == total
    return total


async def bury_audio(store: Store, name: str, size: int) -> str:
    """An utterance with so many bytes of audio is buried; returns its letter."""
    await hear(store, name, audio=bytes(size))
    assert await bury(store, *await read(store)) is Settled.OK
    return list(await letters(store))[-1]


async def bury_text(store: Store, name: str) -> str:
    await hear_text(store, name)
    attempt = await take(store, token=name)
    await bury_turn(store, attempt, reason="r", error="é", deliveries=5, worker="llm-1")
    return list(await letters(store))[-1]


async def test_bytes_are_counted_as_letters_come_and_go(clean_store: Store) -> None:
    first = await bury_audio(clean_store, "u1", 1_000)
    assert await counted(clean_store) > 1_000
    second = await bury_text(clean_store, "u2")
    third = await bury_audio(clean_store, "u3", 70)
    full = await counted(clean_store)
    assert await drop_letter(clean_store, SHARD, first)
    assert full - await counted(clean_store) > 1_000
    assert not await drop_letter(clean_store, SHARD, first)
    published = await replay(clean_store, SHARD, second, session=ADA, utterance="again")
    assert published is not None
    assert published.verdict is Verdict.ACCEPTED
    await counted(clean_store)
    assert list(await letters(clean_store)) == [third]
    assert await drop_letter(clean_store, SHARD, third)
    assert await counted(clean_store) == 0


async def test_the_oldest_go_when_bytes_run_out(clean_store: Store) -> None:
    store = limited(clean_store, dead_max_mb=1, max_backlog=100, max_unanswered=100)
    before = OLDEST_DROPPED.labels("dead_max_mb")._value.get()
    names = [await bury_audio(store, f"u{number}", 300_000) for number in range(3)]
    assert list(await letters(store)) == names
    with capture_logs() as logs:
        newest = await bury_audio(store, "u3", 300_000)
    assert list(await letters(store)) == [*names[1:], newest]
    assert [(line["event"], line["of"], line["count"], line["setting"]) for line in logs] == [
        ("oldest_dropped", "dead", 1, "EARSHOT_LIMITS__DEAD_MAX_MB")
    ]
    assert OLDEST_DROPPED.labels("dead_max_mb")._value.get() == before + 1
    assert await counted(store) < MIB


async def test_they_never_take_more_than_the_limit(clean_store: Store) -> None:
    store = limited(clean_store, dead_max_mb=1, max_backlog=100, max_unanswered=200)
    chance = random.Random(3)
    for number in range(60):
        if chance.random() < 0.2:
            await bury_text(store, f"u{number}")
        else:
            await bury_audio(store, f"u{number}", chance.choice((10, 5_000, 200_000, 400_000)))
        assert await counted(store) <= MIB


async def test_a_large_letter_puts_out_many_and_stays_itself(clean_store: Store) -> None:
    store = limited(clean_store, dead_max_mb=1, max_backlog=100)
    for number in range(3):
        await bury_audio(store, f"u{number}", 100_000)
    large = await bury_audio(store, "u9", 3 * MIB)
    assert list(await letters(store)) == [large]
    assert await counted(store) > 3 * MIB


async def test_the_number_is_limited_at_once_too(clean_store: Store) -> None:
    store = limited(clean_store, dead_max=2)
    names = [await bury_audio(store, f"u{number}", 10) for number in range(4)]
    assert list(await letters(store)) == names[2:]
    await counted(store)


async def test_a_lower_limit_takes_effect_by_trimming(clean_store: Store) -> None:
    store = limited(clean_store, max_backlog=100, max_unanswered=100)
    names = [await bury_audio(store, f"u{number}", 300_000) for number in range(8)]
    trimmed = await trim(limited(store, dead_max_mb=1), SHARD)
    assert (trimmed.dead, trimmed.dead_by_bytes) == (0, 5)
    assert list(await letters(store)) == names[5:]
    trimmed = await trim(limited(store, dead_max=1), SHARD)
    assert (trimmed.dead, trimmed.dead_by_bytes) == (2, 0)
    await counted(store)


async def test_old_letters_are_taken_off_the_count(clean_store: Store) -> None:
    await redis(clean_store).xadd(SHARD.dead, {"session": ADA, "audio": "x"}, id="1-1")
    await count_letters(clean_store, SHARD)
    young = await bury_audio(clean_store, "u2", 100)
    await counted(clean_store)
    await trim(limited(clean_store, dead_age_s=3_600), SHARD)
    assert list(await letters(clean_store)) == [young]
    await counted(clean_store)


async def test_letters_of_an_older_version_are_counted(clean_store: Store) -> None:
    """As after an upgrade, or when a person adds and deletes letters by hand."""
    chance = random.Random(5)
    mine = [await bury_audio(clean_store, f"u{number}", 50) for number in range(4)]
    for number in range(23):
        await redis(clean_store).xadd(SHARD.dead, {"session": ADA, "audio": bytes(number * 10)})
    assert (await trim(clean_store, SHARD)).uncounted
    for entry in chance.sample(list(await letters(clean_store)), 9):
        await redis(clean_store).xdel(SHARD.dead, entry)
    await redis(clean_store).xdel(SHARD.dead, mine[0])
    await count_letters(clean_store, SHARD)
    await counted(clean_store)
    assert not (await trim(clean_store, SHARD)).uncounted
    await redis(clean_store).delete(SHARD.dead)
    await count_letters(clean_store, SHARD)
    assert await counted(clean_store) == 0


@pytest.mark.parametrize("raw", [b"garbage", b"", b"-5", b"9" * 40, None])
async def test_a_total_that_is_no_number_is_made_anew(
    clean_store: Store, raw: bytes | None
) -> None:
    await bury_audio(clean_store, "u1", 100)
    key = SHARD.letters["dead_bytes"]
    await (redis(clean_store).delete(key) if raw is None else redis(clean_store).set(key, raw))
    assert (await take_snapshot(clean_store)).dead_letter_bytes >= 0
    await bury_audio(clean_store, "u2", 100)
    await counted(clean_store)


@pytest.mark.parametrize("name", ["dead_sizes", "dead_bytes"])
async def test_a_foreign_key_stops_no_burial(clean_store: Store, name: str) -> None:
    await redis(clean_store).sadd(SHARD.letters[name], "foreign")
    await bury_audio(clean_store, "u1", 100)
    assert (await story(clean_store))[-1] == "error 1 bad_audio"
    trimmed = await trim(clean_store, SHARD)
    assert SHARD.letters[name] in trimmed.foreign
    with pytest.raises(Exception, match="holds a set"):
        report_trimmed(trimmed)


async def plant(store: Store, fields: list[Any]) -> str:
    """An entry that something else than `publish` added."""
    await redis(store).execute_command("XADD", SHARD.utterances, "*", *fields)
    claim, entry = await read(store)
    named = {b"session": b"ada", b"turn": b"1", b"id": b"u"} | entry
    assert await bury(store, claim, named) is Settled.STALE
    assert await redis(store).xlen(SHARD.utterances) == 0
    return list(await letters(store))[-1]


@pytest.mark.parametrize("count", [101, 3_990, 4_010, 50_000])
async def test_an_entry_of_many_fields_is_a_letter_all_the_same(
    clean_store: Store, count: int
) -> None:
    fields = [part for number in range(count) for part in (f"f{number}", "x")]
    letter = await find_dead_letter(clean_store, await plant(clean_store, fields))
    assert letter.text("f0") == letter.text("f99") == "x"
    assert letter.text("f100") == ""
    assert letter.text("left_out").startswith(f"{count - 100} fields of ")
    assert letter.summary()["left_out"]
    await counted(clean_store)


async def test_what_is_too_large_for_a_letter_is_left_out_of_it(clean_store: Store) -> None:
    store = limited(clean_store, dead_max_mb=1, max_entry_bytes=100_000)
    fields = ["id", "u", "audio", b"x" * 300_000, "source", "kitchen", "more", b"x" * 100_000]
    letter = await find_dead_letter(store, await plant(store, fields))
    assert (letter.text("id"), letter.text("source")) == ("u", "kitchen")
    assert not letter.fields.get("audio")
    assert len(letter.fields["more"]) == 100_000
    assert letter.text("left_out") == "1 fields of 300005 bytes"


async def test_no_valid_utterance_is_too_large_for_a_letter(clean_store: Store) -> None:
    store = limited(clean_store, dead_max_mb=1, max_audio_s=1_000)
    letter = await bury_audio(store, "u1", store.limits.max_entry_bytes)
    found = await find_dead_letter(store, letter)
    assert len(found.fields["audio"]) == store.limits.max_entry_bytes
    assert not found.text("left_out")


async def test_a_letter_of_many_fields_is_not_replayed(clean_store: Store) -> None:
    fields = {f"f{number}": "x" for number in range(5_000)} | {"session": ADA, "text": "hello"}
    letter = await redis(clean_store).xadd(SHARD.dead, fields)
    before = await everything(clean_store)
    with pytest.raises(Exception, match="at most 128 fields"):
        await replay(clean_store, SHARD, letter.decode(), session=ADA, utterance="again")
    assert await everything(clean_store) == before
    assert [found.entry async for found in list_letters(clean_store)] == [letter.decode()]
