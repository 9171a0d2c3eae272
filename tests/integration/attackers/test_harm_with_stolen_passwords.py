"""The harm that the password of each role can do, shown on a secured Redis: docs/security.md tells
it, so that nobody trusts in a protection that is not there."""

import asyncio
import uuid
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest
from redis.exceptions import OutOfMemoryError, ResponseError

from common.entry_id import LAST_ID
from common.keys import SHARDS, Shard
from common.redis.client import connect
from common.redis.store import Store
from common.transitions.publishing import Published, Verdict, publish
from common.utterance import Utterance
from tests.conftest import FAST
from tests.support.secured_redis import ROLES, SecuredRedis
from tests.support.waiting import until_sync

SHARD: Final = Shard(0)
EVENT: Final[dict[Any, Any]] = {"v": 1, "type": "reply", "session": "kitchen", "id": "u"}
ENDLESS: Final = "while true do end"
WRITERS: Final = sorted(set(ROLES) - {"viewer"})


def say(secured: SecuredRedis, role: str, session: str, text: str) -> Published:
    async def said() -> Published:
        client = connect(secured.settings(role))
        try:
            utterance = Utterance(id=uuid.uuid4().hex, session=session, text=text)
            return await publish(Store(client, 1, FAST), utterance)
        finally:
            await client.aclose()

    return asyncio.run(said())


@pytest.mark.parametrize("role", ["producer", "jobs"])
def test_it_can_speak_in_the_session_of_somebody_else(role: str, secured: SecuredRedis) -> None:
    assert say(secured, "producer", "kitchen", "mine").verdict is Verdict.ACCEPTED
    stolen = say(secured, role, "kitchen", "not mine")
    assert (stolen.verdict, stolen.turn) == (Verdict.ACCEPTED, 2)


def test_a_producer_can_delete_what_waits_what_was_said_and_whole_conversations(
    secured: SecuredRedis,
) -> None:
    with secured.sync_client() as tests, secured.client_of("producer") as thief:
        tests.xadd(SHARD.results, EVENT)
        waiting = tests.xadd(SHARD.utterances, {"audio": "sound"})
        tests.rpush(SHARD.history("kitchen"), "said long ago")
        tests.hset(SHARD.session("kitchen"), "epoch", 1)
        thief.xadd(SHARD.results, EVENT, maxlen=0, approximate=False)
        thief.xdel(SHARD.utterances, waiting)
        thief.pexpire(SHARD.history("kitchen"), 0)
        thief.pexpire(SHARD.session("kitchen"), 0)
        for stream in (SHARD.results, SHARD.utterances):
            assert tests.xlen(stream) == 0
        assert not tests.exists(SHARD.history("kitchen"), SHARD.session("kitchen"))


def test_the_jobs_can_delete_conversations_dead_letters_and_jobs(secured: SecuredRedis) -> None:
    with secured.sync_client() as tests, secured.client_of("jobs") as thief:
        letter = tests.xadd(SHARD.dead, {"audio": "sound"})
        tests.rpush(SHARD.history("kitchen"), "said long ago")
        tests.hset(SHARD.session("kitchen"), "epoch", 1)
        tests.rpush("rq:queue:earshot-upkeep", "job")
        thief.xdel(SHARD.dead, letter)
        thief.delete(SHARD.history("kitchen"), SHARD.session("kitchen"))
        thief.delete("rq:queue:earshot-upkeep")
        assert tests.xlen(SHARD.dead) == 0
        assert tests.keys("*") == [SHARD.dead.encode()]


@pytest.mark.parametrize("role", ["stt", "llm"])
def test_a_worker_can_lose_work_and_end_conversations(role: str, secured: SecuredRedis) -> None:
    with secured.sync_client() as tests, secured.client_of(role) as thief:
        waiting = tests.xadd(SHARD.utterances, {"audio": "sound"})
        tests.rpush(SHARD.history("kitchen"), "said long ago")
        tests.xadd(SHARD.results, EVENT)
        tests.xadd(SHARD.dead, {"audio": "sound"})
        thief.xdel(SHARD.utterances, waiting)
        thief.pexpire(SHARD.history("kitchen"), 0)
        for stream in (SHARD.results, SHARD.dead):
            thief.xtrim(stream, maxlen=0, approximate=False)
        for stream in (SHARD.utterances, SHARD.results, SHARD.dead):
            assert tests.xlen(stream) == 0
        assert not tests.exists(SHARD.history("kitchen"))


def test_an_llm_worker_can_read_and_change_what_was_said_before(secured: SecuredRedis) -> None:
    with secured.sync_client() as tests, secured.client_of("llm") as thief:
        history = SHARD.history("kitchen")
        tests.rpush(history, "said long ago")
        assert thief.lrange(history, 0, -1) == [b"said long ago"]
        thief.rpush(history, "never said")
        assert tests.lrange(history, 0, -1) == [b"said long ago", b"never said"]


@pytest.mark.parametrize("role", WRITERS)
def test_it_can_fill_redis_until_nobody_may_write(role: str, secrets: Path) -> None:
    """What is there stays, because Redis evicts nothing; all goes on when there is room again."""
    options = {"maxmemory": "24mb", "maxmemory-policy": "noeviction"}
    with (
        SecuredRedis(secrets, options=options) as server,
        server.sync_client() as tests,
        server.client_of(role) as thief,
    ):
        tests.set("kept", "by somebody else")
        stream = {"llm": SHARD.turns, "stt": SHARD.turns}.get(role, SHARD.utterances)

        def is_full() -> bool:
            try:
                thief.xadd(stream, {"audio": b"\0" * 2**20})
            except OutOfMemoryError:
                return True
            return False

        until_sync(is_full)
        with pytest.raises(OutOfMemoryError):
            tests.set("x", "y" * 2**20)
        assert tests.get("kept") == b"by somebody else"
        tests.delete(stream)
        assert tests.set("x", "y")


@pytest.mark.parametrize("role", WRITERS)
def test_it_can_stop_redis_with_an_endless_script(role: str, secrets: Path) -> None:
    options = {"busy-reply-threshold": "50"}
    with SecuredRedis(secrets, options=options) as server, server.sync_client() as tests:

        def run() -> None:
            with server.client_of(role) as thief, pytest.raises(ResponseError):
                thief.eval(ENDLESS, 0)

        running = Thread(target=run)
        running.start()

        def is_stopped() -> bool:
            try:
                tests.get("x")
            except ResponseError as error:
                return str(error).startswith("BUSY")
            return False

        until_sync(is_stopped)
        tests.script_kill()
        running.join()
        assert tests.get("x") is None


def test_a_producer_can_stop_all_by_the_number_of_shards_or_the_last_id(
    secured: SecuredRedis,
) -> None:
    with secured.sync_client() as tests, secured.client_of("producer") as thief:
        thief.set(SHARDS, 5)
        assert tests.get(SHARDS) == b"5"
        thief.xadd(SHARD.results, EVENT, id=LAST_ID)
        with pytest.raises(ResponseError, match="exhausted the last possible ID"):
            tests.xadd(SHARD.results, EVENT)
