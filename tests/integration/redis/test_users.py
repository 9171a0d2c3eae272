"""Every role's whole traffic passes on a secured Redis under the role's own user. (That their
processes come through as well is shown in test_compose_parity.py, RQ's jobs in
tests/integration/jobs/test_command.py, what they may not do in test_permissions.py.)
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import ANY

import pytest
from structlog.testing import capture_logs

from common.errors import RedisUnusable
from common.keys import LLM_GROUP, SHARDS, STT_GROUP, Shard
from common.redis.client import connect
from common.redis.link import Link
from common.redis.server import check_server
from common.redis.store import Store
from common.results.subscriber import Subscriber
from common.settings import Settings
from common.status.backlog_metrics import BacklogCollector
from common.status.entries_in_hand import read_entries_in_hand
from common.status.snapshot import take_snapshot
from common.transitions.claims import hand_back, heartbeat, take_over
from common.transitions.dead_letters import DROP_LETTER, drop_letter, replay
from common.transitions.publishing import Verdict, keep_open, publish
from common.transitions.tending import due_sessions, forget, trim
from common.utterance import Utterance
from ops.cli.commands.export import _print as print_export
from ops.cli.commands.summary import _read_extent as extent
from ops.cli.commands.tail import _tail as tail
from ops.cli.jobs.job_list import list_jobs
from ops.jobs.connection import open_connection
from tests.conftest import FAST
from tests.model.role_users import OWNERS, RoleUsers
from tests.model.run import run_seed
from tests.support.secured_redis import SecuredRedis
from tests.support.waiting import until
from workers.loop.caretaker import Caretaker
from workers.loop.reader import Reader
from workers.loop.registration import Registration

SHARD: Final = Shard(0)
AUDIO: Final = {"audio": b"ab", "samples": 1, "codec": "pcm_s16le"}
SEEDS: Final = range(20)
NOT_IN_THE_MODEL: Final = {DROP_LETTER.digest}
GROUPS: Final = {
    SHARD.utterances: STT_GROUP,
    SHARD.recordings: STT_GROUP,
    SHARD.turns: LLM_GROUP,
}


def test_every_script_in_every_turn_that_it_takes(secured: SecuredRedis) -> None:
    """The model test's runs, with each script under the user whose role runs it."""
    with RoleUsers(secured) as users:
        for seed in SEEDS:
            run_seed(users, seed)
    assert OWNERS.keys() <= users.ran | NOT_IN_THE_MODEL
    assert secured.refusals() == []


@asynccontextmanager
async def _store(secured: SecuredRedis, role: str) -> AsyncIterator[Store]:
    settings = secured.settings(role)
    client = connect(settings)
    try:
        await check_server(client, settings, 1)
        yield Store(client, 1, FAST)
    finally:
        await client.aclose()


def _link(secured: SecuredRedis, store: Store, role: str) -> Link:
    return Link(store.redis, secured.settings(role), max_pause_s=1)


async def _vanished(store: Store, stream: str, group: str) -> list[str]:
    """The ids of pending entries that were found to be gone."""
    taken = await take_over(store, stream, group, "fourth", claim_idle_s=0, limit=1)
    return list(taken.vanished)


async def _spoken(secured: SecuredRedis, name: str, **how: Any) -> None:
    async with _store(secured, "producer") as store:
        utterance = Utterance(id=name, session="kitchen", **(AUDIO | how))
        assert (await publish(store, utterance)).verdict is Verdict.ACCEPTED


async def test_a_restart_finds_all_that_was_written(secrets: Path) -> None:
    """Redis checks the transactions in its append-only file, each of which is a script's work."""
    with SecuredRedis(secrets, options={"appendonly": "yes"}) as server:
        await _spoken(server, "u1", text="Hello", audio=b"")
        with server.sync_client() as tests:
            before = {key: tests.dump(key) for key in tests.scan_iter()}
        assert {SHARD.turns.encode(), SHARD.results.encode()} < before.keys()
        server.restart(clean=True)
        with server.sync_client() as tests:
            assert {key: tests.dump(key) for key in tests.scan_iter()} == before


async def test_a_producer_keeps_a_draft_open_and_looks_at_the_backlog(
    secured: SecuredRedis,
) -> None:
    await _spoken(secured, "u1", final=False)
    with secured.sync_client() as tests:
        tests.xgroup_create(SHARD.utterances, STT_GROUP, "0")
    async with _store(secured, "producer") as store:
        assert await keep_open(store, "kitchen", "u1")
        redis: Any = store.redis
        assert await redis.xlen(SHARD.utterances) == 1
        assert (await redis.xpending(SHARD.utterances, STT_GROUP))["pending"] == 0
    assert secured.refusals() == []


async def test_a_viewer_follows_and_counts(secured: SecuredRedis) -> None:
    await _spoken(secured, "u1")
    async with _store(secured, "viewer") as store:
        subscriber = Subscriber(store, _link(secured, store, "viewer"), since="0-0", follow=False)
        received = [received.event.type async for received in subscriber.events()]
        assert received == ["heard"]
        snapshot = await take_snapshot(store)
    assert snapshot.stages["utterances"].waiting == 1
    assert snapshot.stages["utterances"].oldest_s is None, "to see it is to read the audio"


async def test_a_viewer_sees_who_holds_what_but_not_of_whom(secured: SecuredRedis) -> None:
    await _spoken(secured, "u1", text="Hello", audio=b"")
    with secured.sync_client() as tests:
        tests.xgroup_create(SHARD.turns, LLM_GROUP, "0")
        tests.xreadgroup(LLM_GROUP, "llm-1", {SHARD.turns: ">"})
    async with _store(secured, "viewer") as store:
        held = await read_entries_in_hand(store)
    assert held["llm-1"].count == 1
    assert held["llm-1"].sessions == []


async def test_who_may_not_read_the_results_is_told_so(secured: SecuredRedis) -> None:
    await _spoken(secured, "u1")
    settings = Settings(redis=secured.settings("stt"))
    with pytest.raises(RedisUnusable, match="does not permit"):
        await tail(settings, False, None, None, False, False)
    with pytest.raises(RedisUnusable, match="does not permit"):
        await print_export(settings, None, "jsonl", "")


async def test_a_viewer_may_be_first(secured: SecuredRedis) -> None:
    """Whoever writes notes the number of shards; a viewer does without."""
    async with _store(secured, "viewer") as store:
        assert await store.redis.get(SHARDS) is None


@pytest.mark.parametrize("role", ["stt", "llm"])
async def test_a_worker_takes_over_tends_and_sweeps(role: str, secured: SecuredRedis) -> None:
    """All that the loop does beside the handler's scripts."""
    stream = SHARD.utterances if role == "stt" else SHARD.turns
    await _spoken(secured, "u1", **({} if role == "stt" else {"text": "Hello", "audio": b""}))
    with secured.sync_client() as tests:
        for other, group in GROUPS.items():
            tests.xgroup_create(other, group, "0", mkstream=True)
            tests.xgroup_createconsumer(other, group, "long gone")
    async with _store(secured, role) as store:
        link, group = _link(secured, store, role), GROUPS[stream]

        def reader(consumer: str) -> Reader:
            return Reader(store, link, SHARD, [stream], group, consumer, claim_idle_s=0.001)

        register = Registration(store.redis, "first", role, ttl_s=60)
        await register.publish()
        await reader("first").make_groups()
        (work,) = await reader("first").wait_for_new()
        entry = work.claim.entry
        assert await heartbeat(store, stream, group, "first", [entry]) == set()
        await until(lambda: reader("second").take_over(1))
        assert await hand_back(store, stream, group, "second", [entry]) == 1
        await until(lambda: reader("third").take_over(1))
        assert await hand_back(store, stream, group, "third", [entry], pause_s=0.001) == 1
        with secured.sync_client() as tests:
            tests.xdel(stream, entry)
        await until(lambda: _vanished(store, stream, group), lambda gone: gone == [entry])
        caretaker = Caretaker(store, link, "third", claim_idle_s=0)
        await until(lambda: due_sessions(store, SHARD, 1))
        await caretaker.tend(SHARD)
        await caretaker.trim(SHARD)
        for other, its_group in GROUPS.items():
            await caretaker.remove_dead_consumers(other, its_group)
        snapshot = await take_snapshot(store)  # which its metrics tell
        assert [worker.name for worker in snapshot.workers] == ["first"]
        await register.remove()
    with secured.sync_client() as tests:
        for other, its_group in GROUPS.items():
            left = {consumer["name"] for consumer in tests.xinfo_consumers(other, its_group)}
            assert b"long gone" not in left
    assert secured.refusals() == []


async def test_who_may_not_count_works_on_and_says_so_once(secured: SecuredRedis) -> None:
    """As with an ACL file from before workers might."""
    async with _store(secured, "producer") as store:
        link = _link(secured, store, "producer")
        now = itertools.count(step=60)
        backlog = BacklogCollector(store, link, clock=lambda: next(now))
        with capture_logs() as logs:
            for _ in range(2):
                families = await asyncio.to_thread(lambda: list(backlog.collect()))
                assert not any(family.samples for family in families)
    assert link.is_up
    assert [line["event"] for line in logs] == ["backlog_not_permitted"]


async def test_jobs_send_recordings_and_read_results(secured: SecuredRedis) -> None:
    async with _store(secured, "jobs") as store:
        recording = Utterance(id="r1", session="kitchen", audio=b"ab", samples=1, codec="pcm_s16le")
        answer = await publish(store, recording, recording=True)
        assert answer.verdict is Verdict.ACCEPTED
        link = _link(secured, store, "jobs")
        subscriber = Subscriber(store, link, since="0-0", follow=False)
        kinds = [received.event.type async for received in subscriber.events()]
        assert kinds == ["heard"]
    assert await extent(Settings(redis=secured.settings("jobs")), "kitchen") == (ANY, 1)
    assert secured.refusals() == []


def test_who_may_not_use_the_jobs_is_told_so(secured: SecuredRedis) -> None:
    with (
        pytest.raises(RedisUnusable, match="does not permit"),
        open_connection(Settings(redis=secured.settings("viewer"))) as client,
    ):
        list_jobs(client)


@pytest.mark.parametrize("role", ["admin", "jobs"])
async def test_an_operator_and_the_jobs_replay_drop_forget_and_sweep(
    role: str, secured: SecuredRedis
) -> None:
    with secured.sync_client() as tests:
        letters = [
            tests.xadd(SHARD.dead, {"session": "kitchen", "id": f"u{n}", "text": "Hello"}).decode()
            for n in range(2)
        ]
    async with _store(secured, role) as store:
        assert await replay(store, SHARD, letters[0], session="kitchen", utterance="n1")
        assert await drop_letter(store, SHARD, letters[1])
        assert await forget(store, "kitchen") == 1
        await trim(store, SHARD)
        await due_sessions(store, SHARD, 1)
    assert secured.refusals() == []
