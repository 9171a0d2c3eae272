"""On a secured Redis, either kind of worker sets aside a session that cannot be read and takes it
back, everybody who counts sees it, and with an older ACL file the others are tended all the same.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from common.keys import STT_GROUP, Shard
from common.redis.client import connect
from common.redis.link import Link
from common.redis.store import Store
from common.status.snapshot import take_snapshot
from common.transitions.claims import Claim, Settled
from common.transitions.letter_limits import count_letters
from common.transitions.publishing import publish
from common.transitions.tending import forget, trim
from common.transitions.transcribing import bury_utterance
from common.utterance import Utterance
from tests.conftest import FAST
from tests.support.secured_redis import SecuredRedis
from tests.support.waiting import until
from workers.loop.caretaker import Caretaker

SHARD: Final = Shard(0)


@asynccontextmanager
async def store_of(secured: SecuredRedis, role: str) -> AsyncIterator[Store]:
    client = connect(secured.settings(role))
    try:
        yield Store(client, 1, FAST)
    finally:
        await client.aclose()


def caretaker_of(secured: SecuredRedis, store: Store, role: str) -> Caretaker:
    link = Link(store.redis, secured.settings(role), max_pause_s=1)
    return Caretaker(store, link, "me", claim_idle_s=60)


async def speak(secured: SecuredRedis, *sessions: str) -> None:
    async with store_of(secured, "producer") as store:
        for session in sessions:
            await publish(store, Utterance(id=f"u-{session}", session=session, text="Hello"))


def endings(secured: SecuredRedis) -> list[bytes]:
    with secured.sync_client() as tests:
        return [
            row[b"session"] for _, row in tests.xrange(SHARD.results) if row[b"type"] == b"error"
        ]


@pytest.mark.parametrize("role", ["stt", "llm"])
async def test_a_session_is_set_aside_and_taken_back(role: str, secured: SecuredRedis) -> None:
    await speak(secured, "kitchen", "office")
    with secured.sync_client() as tests:
        tests.hset(SHARD.session("kitchen"), "last", "many")
        tests.delete(SHARD.inbox("kitchen"), SHARD.inbox("office"))
    async with store_of(secured, role) as store:
        caretaker = caretaker_of(secured, store, role)

        async def office_ended() -> bool:
            await caretaker.tend(SHARD)
            return endings(secured) == [b"office"]

        await until(office_ended)
        assert (await take_snapshot(store)).set_aside.keys() == {"kitchen"}
        for other in ("jobs", "admin"):
            async with store_of(secured, other) as looking:
                assert (await take_snapshot(looking)).set_aside_count == 1
        with secured.sync_client() as tests:
            tests.hset(SHARD.session("kitchen"), "last", 1)
        await caretaker.retry(SHARD)
        assert (await take_snapshot(store)).set_aside_count == 0
    assert endings(secured) == [b"office", b"kitchen"]
    assert secured.refusals() == []


async def test_a_viewer_sees_what_was_set_aside(secured: SecuredRedis) -> None:
    with secured.sync_client() as tests:
        tests.hset(SHARD.quarantine, "kitchen", "a reason")
    async with store_of(secured, "viewer") as store:
        assert (await take_snapshot(store)).set_aside == {"kitchen": "a reason"}
    assert secured.refusals() == []


@pytest.mark.parametrize("role", ["admin", "jobs"])
async def test_a_session_that_cannot_be_read_is_forgotten(role: str, secured: SecuredRedis) -> None:
    await speak(secured, "kitchen")
    with secured.sync_client() as tests:
        tests.hset(SHARD.session("kitchen"), "last", "many")
    async with store_of(secured, role) as store:
        assert await forget(store, "kitchen") == 1
    assert secured.refusals() == []


async def test_the_jobs_count_letters_that_a_worker_may_not_read(secured: SecuredRedis) -> None:
    with secured.sync_client() as tests:
        tests.xadd(SHARD.dead, {"session": "kitchen", "audio": "x"})
    async with store_of(secured, "jobs") as store:
        assert (await trim(store, SHARD)).uncounted
        await count_letters(store, SHARD)
        assert not (await trim(store, SHARD)).uncounted
        assert (await take_snapshot(store)).dead_letter_bytes == 7 + 7 + 5 + 1
    assert secured.refusals() == []
    with secured.sync_client() as tests:
        tests.xadd(SHARD.dead, {"session": "kitchen", "audio": "x"})
    async with store_of(secured, "stt") as store:
        await caretaker_of(secured, store, "stt").trim(SHARD)


@pytest.fixture
def own_secured(secrets: Path) -> Iterator[SecuredRedis]:
    """A server whose users the test may change."""
    with SecuredRedis(secrets) as server:
        yield server


async def test_an_older_acl_file_stops_no_tending(own_secured: SecuredRedis) -> None:
    """It gives no rights on the quarantine."""
    secured = own_secured
    await speak(secured, "kitchen", "office")
    take_rights(secured, "stt", "quarantine")
    with secured.sync_client() as tests:
        tests.hset(SHARD.session("kitchen"), "last", "many")
        tests.delete(SHARD.inbox("kitchen"), SHARD.inbox("office"))
    async with store_of(secured, "stt") as store:
        caretaker = caretaker_of(secured, store, "stt")

        async def office_ended() -> bool:
            await caretaker.tend(SHARD)
            return endings(secured) == [b"office"]

        await until(office_ended)
        assert (await take_snapshot(store)).set_aside_count == 0


async def test_an_older_acl_file_stops_no_burial(own_secured: SecuredRedis) -> None:
    """It gives no rights on the bytes of dead letters, so that only their number is limited."""
    take_rights(own_secured, "stt", "dead:")
    with own_secured.sync_client() as tests:
        entry = tests.xadd(SHARD.utterances, {"session": "kitchen", "audio": "x"}).decode()
        tests.xgroup_create(SHARD.utterances, STT_GROUP, "0")
        tests.xreadgroup(STT_GROUP, "me", {SHARD.utterances: ">"})
    async with store_of(own_secured, "stt") as store:
        claim = Claim(SHARD, SHARD.utterances, entry, "me")
        buried = await bury_utterance(
            store,
            claim,
            session="",
            turn=None,
            utterance="",
            reason="r",
            error="e",
            deliveries=1,
            worker="me",
        )
        assert buried is Settled.STALE
        await caretaker_of(own_secured, store, "stt").trim(SHARD)
    with own_secured.sync_client() as tests:
        assert tests.xlen(SHARD.dead) == 1


def take_rights(secured: SecuredRedis, user: str, key: str) -> None:
    """Take the rights on some keys away from a user, as if its ACL file were an older one."""
    with secured.sync_client() as tests:
        rules = next(rule for rule in tests.acl_list() if rule.startswith(f"user {user} "))
        kept = " (".join(part for part in rules.split(" (") if key not in part)
        words = kept.removeprefix(f"user {user} ").replace("(", "\0(").replace(")", ")\0")
        parts = [
            part
            for piece in words.split("\0")
            for part in ([piece] if piece.startswith("(") else piece.split())
        ]
        tests.execute_command("ACL", "SETUSER", user, "reset", *parts)
