"""What somebody with a stolen password of each role gets and does not get, tried on a secured Redis
with that role's own user."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from common.keys import LLM_GROUP, STT_GROUP, Shard
from tests.support.secured_redis import ROLES, SecuredRedis

SHARD: Final = Shard(0)
REFUSED: Final = (NoPermissionError, ResponseError)
JOB: Final = "rq:job:x"
EVENT: Final[dict[Any, Any]] = {
    "v": 1, "type": "reply", "session": "s", "epoch": 1, "turn": 1, "id": "u", "at": 1,
    "data": '{"text": "invented"}',
}  # fmt: skip


def test_a_producer_can_invent_events_and_read_an_inbox(secured: SecuredRedis) -> None:
    with secured.sync_client() as tests, secured.client_of("producer") as thief:
        tests.hset(SHARD.inbox("s"), "1", "what waits for its answer")
        assert thief.hget(SHARD.inbox("s"), "1") == b"what waits for its answer"
        assert thief.xadd(SHARD.results, EVENT)


@pytest.mark.parametrize("role", ["producer", "stt", "llm", "viewer"])
def test_only_the_jobs_and_an_operator_reach_the_queue_of_jobs(
    role: str, secured: SecuredRedis
) -> None:
    with secured.client_of(role) as thief:
        attempts: list[Callable[[], object]] = [
            lambda: thief.rpush("rq:queue:earshot-upkeep", "x"),
            lambda: thief.hset(JOB, "data", "x"),
            lambda: thief.hget(JOB, "data"),
            lambda: thief.publish("rq:pubsub:x", "{}"),
            lambda: thief.eval("return redis.call('RPUSH', 'rq:queue:earshot-upkeep', 'x')", 0),
        ]
        for attempt in attempts:
            with pytest.raises(REFUSED):
                attempt()
    with secured.sync_client() as tests:
        assert tests.keys("rq:*") == []


def test_the_jobs_can_push_jobs_and_read_dead_letters_and_no_history(
    secured: SecuredRedis,
) -> None:
    with secured.sync_client() as tests, secured.client_of("jobs") as thief:
        tests.xadd(SHARD.dead, {"audio": "sound"})
        tests.rpush(SHARD.history("s"), "said long ago")
        thief.rpush("rq:queue:earshot-upkeep", "x")
        ((_, letter),) = thief.xrange(SHARD.dead)
        assert letter == {b"audio": b"sound"}
        for command in (
            ("LRANGE", SHARD.history("s"), 0, -1),
            ("XRANGE", SHARD.utterances, "-", "+"),
        ):
            with pytest.raises(REFUSED):
                thief.execute_command(*command)


def test_a_viewer_reads_what_was_said_and_answered_and_nothing_else(
    secured: SecuredRedis,
) -> None:
    with secured.sync_client() as tests, secured.client_of("viewer") as thief:
        tests.xadd(SHARD.results, EVENT)
        tests.xadd(SHARD.utterances, {"audio": "sound"})
        assert len(thief.xrange(SHARD.results)) == 1
        attempts: list[Callable[[], object]] = [
            lambda: thief.xadd(SHARD.results, EVENT),
            lambda: thief.xrange(SHARD.utterances),
            lambda: thief.xrange(SHARD.dead),
            lambda: thief.lrange(SHARD.history("s"), 0, -1),
            lambda: thief.hgetall(SHARD.inbox("s")),
            lambda: thief.eval("return 1", 0),
            lambda: thief.delete(SHARD.results),
            lambda: thief.xtrim(SHARD.results, maxlen=0),
        ]
        for attempt in attempts:
            with pytest.raises(REFUSED):
                attempt()


@pytest.mark.parametrize("role", ["stt", "llm"])
def test_a_worker_can_take_the_work_and_read_its_audio(role: str, secured: SecuredRedis) -> None:
    stream, group = (SHARD.utterances, STT_GROUP) if role == "stt" else (SHARD.turns, LLM_GROUP)
    with secured.sync_client() as tests, secured.client_of(role) as thief:
        tests.xadd(stream, {"audio": "sound"})
        tests.xadd(SHARD.utterances, {"audio": "sound"})
        thief.xgroup_create(stream, group, "0")
        assert thief.xreadgroup(group, "thief", {stream: ">"})
        assert thief.xrange(SHARD.utterances)
        for command in (("XRANGE", SHARD.results, "-", "+"), ("XRANGE", SHARD.dead, "-", "+")):
            with pytest.raises(REFUSED):
                thief.execute_command(*command)


def test_an_operator_can_delete_everything_of_earshot(secured: SecuredRedis) -> None:
    with secured.sync_client() as tests, secured.client_of("admin") as thief:
        tests.xadd(SHARD.results, EVENT)
        tests.set("other", "not earshot's")
        assert thief.delete(SHARD.results) == 1
        with pytest.raises(REFUSED):
            thief.get("other")


@pytest.mark.parametrize("role", sorted(ROLES))
def test_nobody_reads_keys_of_other_programs(role: str, secured: SecuredRedis) -> None:
    with secured.sync_client() as tests, secured.client_of(role) as thief:
        tests.set("other", "not earshot's")
        for command in (("GET", "other"), ("SET", "other", "x"), ("DEL", "other"), ("KEYS", "*")):
            with pytest.raises(REFUSED):
                thief.execute_command(*command)
