"""On a secured Redis, either kind of worker sets aside a session that cannot be read and takes it
back, everybody who counts sees it, and with an older ACL file the others are tended all the same.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from common.keys import Shard
from common.redis.client import connect
from common.redis.link import Link
from common.redis.store import Store
from common.status.snapshot import take_snapshot
from common.transitions.publishing import publish
from common.transitions.tending import forget
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


@pytest.fixture
def own_secured(secrets: Path) -> Iterator[SecuredRedis]:
    """A server whose users the test may change."""
    with SecuredRedis(secrets) as server:
        yield server


async def test_an_older_acl_file_stops_no_tending(own_secured: SecuredRedis) -> None:
    """It gives no rights on the quarantine."""
    secured = own_secured
    await speak(secured, "kitchen", "office")
    with secured.sync_client() as tests:
        rules = next(rule for rule in tests.acl_list() if rule.startswith("user stt "))
        kept = [part for part in rules.split(" (") if "quarantine" not in part]
        words = " (".join(kept).removeprefix("user stt ").replace("(", "\0(").replace(")", ")\0")
        parts = [
            part
            for piece in words.split("\0")
            for part in ([piece] if piece.startswith("(") else piece.split())
        ]
        tests.execute_command("ACL", "SETUSER", "stt", "reset", *parts)
        tests.hset(SHARD.session("kitchen"), "last", "many")
        tests.delete(SHARD.inbox("kitchen"), SHARD.inbox("office"))
    async with store_of(secured, "stt") as store:
        caretaker = caretaker_of(secured, store, "stt")

        async def office_ended() -> bool:
            await caretaker.tend(SHARD)
            return endings(secured) == [b"office"]

        await until(office_ended)
        assert (await take_snapshot(store)).set_aside_count == 0
