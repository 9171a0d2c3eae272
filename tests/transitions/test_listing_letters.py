"""Whoever looks through dead letters is not sent their audio, sees all of them in order, and only
the beginning of what is long; the script keeps no more than one letter in its memory."""

from typing import Any, Final

import pytest

from common.entry_id import LAST_ID
from common.errors import BadInput
from common.keys import Shard
from common.redis.store import Store
from common.status.dead_letters import (
    BATCH,
    LIST,
    LONGEST,
    find_dead_letter,
    list_latest_letters,
    list_letters,
)

SHARD: Final = Shard(0)
AUDIO: Final = b"\x00\xff" * 2**20
SERVERS: Final = pytest.mark.parametrize("clean_store", ["installed", "embedded"], indirect=True)


def redis(store: Store) -> Any:
    return store.redis


async def add(store: Store, **fields: Any) -> str:
    entry: bytes = await redis(store).xadd(SHARD.dead, fields)
    return entry.decode()


async def sent_by_the_server(store: Store) -> int:
    stats = await redis(store).info("stats")
    return int(stats["total_net_output_bytes"])


@SERVERS
async def test_a_page_of_letters_is_sent_without_their_audio(clean_store: Store) -> None:
    for number in range(20):
        await add(clean_store, id=f"u{number}", reason="poison", audio=AUDIO)
    before = await sent_by_the_server(clean_store)
    page = await list_latest_letters(clean_store, None, 20)
    listed = [letter async for letter in list_letters(clean_store)]
    sent = await sent_by_the_server(clean_store) - before
    assert [letter.text("id") for letter in page] == [f"u{n}" for n in reversed(range(20))]
    assert [letter.entry for letter in listed] == [letter.entry for letter in reversed(page)]
    assert {letter.audio_bytes for letter in page} == {len(AUDIO)}
    assert sent < len(AUDIO) / 10, "it was more than forty times that"
    found = await find_dead_letter(clean_store, page[0].entry)
    assert found.fields["audio"] == AUDIO
    assert found.summary() == page[0].as_dict()


@SERVERS
async def test_the_script_keeps_one_letter_in_its_memory(clean_store: Store) -> None:
    for _ in range(60):
        await add(clean_store, audio=AUDIO)
    await redis(clean_store).script_flush()
    assert len(await list_latest_letters(clean_store, None, 60)) == 60
    memory = await redis(clean_store).info("memory")
    assert int(memory["used_memory_lua"]) < 30 * len(AUDIO), "all of them would be 60"
    most_bytes = 16 * len(AUDIO)
    keys = {"dead": SHARD.dead}
    for is_newest_first in (False, True):
        rows = await LIST(
            clean_store.redis, keys, first="-", last=LAST_ID, most=60,
            is_newest_first=is_newest_first, most_bytes=most_bytes, longest=9, names=["id"],
        )  # fmt: skip
        assert len(rows) == 16, "then others are served"
    assert len([letter async for letter in list_letters(clean_store)]) == 60


@SERVERS
async def test_a_letter_with_the_last_id_there_can_be_is_listed(clean_store: Store) -> None:
    await add(clean_store, id="u")
    await redis(clean_store).xadd(SHARD.dead, {"id": "last"}, id=LAST_ID)
    latest = await list_latest_letters(clean_store, None, 20)
    assert [letter.text("id") for letter in latest] == ["last", "u"]
    listed = [letter.text("id") async for letter in list_letters(clean_store)]
    assert listed == ["u", "last"]


@SERVERS
async def test_every_letter_is_listed_once_and_older_ones_on_request(clean_store: Store) -> None:
    entries = [await add(clean_store, reason="ab"[n % 2], n=n) for n in range(2 * BATCH + 1)]
    assert [letter.entry async for letter in list_letters(clean_store)] == entries
    assert [letter.entry async for letter in list_letters(clean_store, "b")] == entries[1::2]
    seen: list[str] = []
    before = None
    while page := await list_latest_letters(clean_store, before, 20):
        seen += [letter.entry for letter in page]
        before = page[-1].entry
    assert seen == entries[::-1]
    assert [letter async for letter in list_letters(clean_store, "c")] == []


@SERVERS
@pytest.mark.parametrize("before", ["0-0", "9" * 19 + "-" + "9" * 19, "9" * 19, "5"])
async def test_a_place_far_away_is_one_all_the_same(clean_store: Store, before: str) -> None:
    await redis(clean_store).xadd(SHARD.dead, {"id": "u"}, id="1700000000000-0")
    page = await list_latest_letters(clean_store, before, 20)
    assert [letter.text("id") for letter in page] == (["u"] if before.startswith("9") else [])
    for strange in ("", "x", "-", "+", "(1-1", "1-1-1", "9" * 20):
        with pytest.raises(BadInput, match="is no id of a dead letter"):
            await list_latest_letters(clean_store, strange, 20)


@SERVERS
async def test_whatever_is_in_a_letter_it_is_listed(clean_store: Store) -> None:
    long = "\u8a9e" * 2_000
    await add(clean_store, error=long, text="\U0001f399" * 2_000, mood="x" * 10**6, turn="9" * 30)
    await add(clean_store, id=b"\xff\xfe", at="\u0663", rate="16000")
    await redis(clean_store).xadd(SHARD.dead, {f"f{number}": "x" for number in range(5_000)})
    odd, binary, long_one = await list_latest_letters(clean_store, None, 20)
    assert long_one.as_dict()["error"] == long[:LONGEST]
    assert len(long_one.as_dict()["text"]) == LONGEST
    assert "mood" not in long_one.as_dict()
    assert long_one.as_dict()["turn"] == "9" * 30, "which is no number that JSON could hold"
    assert binary.as_dict()["id"] == "\ufffd\ufffd"
    assert (binary.as_dict()["at"], binary.as_dict()["rate"]) == ("\u0663", 16_000)
    assert odd.as_dict() == {"letter": odd.entry, "audio_bytes": 0}
