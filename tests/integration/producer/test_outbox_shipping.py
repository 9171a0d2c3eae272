"""With Redis away, full, restarted, or its answers lost, and with the producer killed: what was
said waits on the mic host's disk and goes out in order, nothing twice, nothing lost."""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from structlog.testing import capture_logs

from common.events import Heard, parse_event
from common.keys import STT_GROUP, Shard
from common.redis.client import connect
from common.redis.link import Link
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.transitions.claims import Claim
from common.transitions.publishing import publish
from common.transitions.tending import tend
from common.transitions.transcribing import settle_transcript
from common.utterance import Utterance
from ops.demo.recording_file import AUDIO
from producer.shipping import shipper as shipping
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper
from tests.integration.producer.answer_losing_proxy import AnswerLosingProxy
from tests.support.command_line import DEADLINE_S, CommandProcesses, finish
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

SHARD = Shard(0)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox", "s1", max_bytes=10**8, max_age_s=10**5) as outbox:
        yield outbox


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "FULL_PAUSE_S", 0.01)
    monkeypatch.setattr(shipping, "FULL_PAUSE_MAX_S", 0.05)


def _utterance(name: str, **more: Any) -> Utterance:
    return Utterance(id=name, session="s1", audio=b"x" * 2_000, samples=1_000, **more)


def _add(outbox: Outbox, *names: str) -> None:
    for name in names:
        outbox.add(_utterance(name), age_s=0)


@asynccontextmanager
async def _shipping(
    outbox: Outbox, url: str, limits: LimitSettings | None = None
) -> AsyncIterator[Shipper]:
    settings = RedisSettings(url=url)
    store = Store(connect(settings), 1, limits or LimitSettings())
    shipper = Shipper(store, Link(store.redis, settings, max_pause_s=0.1), outbox)
    task = asyncio.create_task(shipper.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield shipper
    finally:
        task.cancel()
        ends = await asyncio.gather(task, return_exceptions=True)
        await store.redis.aclose()
    assert isinstance(ends[0], asyncio.CancelledError)


def _heard(server: RedisServer) -> list[Heard]:
    with server.sync_client() as client:
        events = [parse_event(fields) for _, fields in client.xrange(SHARD.results)]
    return [event for event in events if isinstance(event, Heard)]


def _ids(server: RedisServer) -> list[str]:
    """The utterances that Redis has heard, in the order of their turns."""
    heard = _heard(server)
    assert [event.turn for event in heard] == list(range(1, len(heard) + 1))
    return [event.id for event in heard]


async def _transcribe_all(store: Store) -> None:
    """As an STT worker does: read, settle."""
    redis: Any = store.redis
    while rows := await redis.xreadgroup(STT_GROUP, "stt-1", {SHARD.utterances: ">"}):
        for entry, fields in rows[0][1]:
            await settle_transcript(
                store,
                Claim(SHARD, SHARD.utterances, entry.decode(), "stt-1"),
                session="s1",
                turn=int(fields[b"turn"]),
                utterance=fields[b"id"].decode(),
                text="hello",
                stt_ms=1,
                detail={},
            )


# -- Redis away


async def test_with_redis_away_from_the_start_everything_waits(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    redis_server.kill()
    names = [f"u{number}" for number in range(20)]
    _add(outbox, *names[:10])
    with capture_logs() as logs:
        async with _shipping(outbox, redis_server.url) as shipper:
            await until(lambda: [line for line in logs if line["event"] == "redis_is_away"])
            _add(outbox, *names[10:])  # hearing goes on
            shipper.added()
            assert len(outbox) == 20
            await asyncio.to_thread(redis_server.start)
            await shipper.drained()
    assert _ids(redis_server) == names
    changes = [line["event"] for line in logs if line["event"].startswith("redis")]
    assert changes == ["redis_is_away", "redis_is_back"]


async def test_restarts_in_the_middle_lose_and_repeat_nothing(outbox: Outbox) -> None:
    names = [f"u{number}" for number in range(60)]
    _add(outbox, *names)
    options = {"appendonly": "yes", "appendfsync": "always"}
    with RedisServer(options=options) as server:
        async with _shipping(outbox, server.url) as shipper:
            for part in (15, 30, 45):
                await until(lambda: shipper.sent >= part)  # noqa: B023  # it is used at once
                await asyncio.to_thread(server.restart)
            await shipper.drained()
        assert _ids(server) == names


async def test_the_wait_counts_into_the_age(redis_server: RedisServer, outbox: Outbox) -> None:
    outbox.add(_utterance("old"), age_s=5)
    async with _shipping(outbox, redis_server.url) as shipper:
        await shipper.drained()
    (heard,) = _heard(redis_server)
    assert 5_000 <= heard.at - heard.data.spoken_at < 5_000 + DEADLINE_S * 1_000


# -- lost answers


async def test_a_lost_answer_repeats_nothing(redis_server: RedisServer, outbox: Outbox) -> None:
    names = [f"u{number}" for number in range(30)]
    _add(outbox, *names)
    async with AnswerLosingProxy(redis_server, every=3) as proxy:
        async with _shipping(outbox, proxy.url) as shipper:
            await shipper.drained()
        assert proxy.lost >= 10
    assert _ids(redis_server) == names
    with redis_server.sync_client() as client:
        assert client.xlen(SHARD.utterances) == 30


async def test_a_lost_answer_repeats_nothing_after_the_turn_has_ended(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    """The producer comes back late: the utterance was transcribed long ago."""
    utterance = _utterance("a", answer=False)
    async with redis_server.client() as client:
        store = Store(client, 1, LimitSettings())
        await client.xgroup_create(SHARD.utterances, STT_GROUP, "0", mkstream=True)
        await publish(store, utterance)
        await _transcribe_all(store)
    outbox.add(utterance, age_s=0)
    async with _shipping(outbox, redis_server.url) as shipper:
        await shipper.drained()
    assert _ids(redis_server) == ["a"]
    with redis_server.sync_client() as client:
        assert client.xlen(SHARD.utterances) == 0


# -- full, closed, refused


async def test_a_full_backlog_keeps_the_rest_in_order_until_there_is_room(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    names = [f"u{number}" for number in range(10)]
    _add(outbox, *names)
    limits = LimitSettings(max_backlog=3, max_unanswered=100)
    with capture_logs() as logs:
        async with _shipping(outbox, redis_server.url, limits) as shipper:
            await until(lambda: [line for line in logs if line["event"] == "kept_in_outbox"])
            assert _ids(redis_server) == names[:3]
            assert len(outbox) == 7
            async with redis_server.client() as client:
                store = Store(client, 1, limits)
                await client.xgroup_create(SHARD.utterances, STT_GROUP, "0")
                while shipper.sent < 10:
                    await _transcribe_all(store)
                    await asyncio.sleep(0.01)
            await shipper.drained()
    assert _ids(redis_server) == names
    told = next(line for line in logs if line["event"] == "kept_in_outbox")
    assert told["why"] == "the backlog holds 3 utterances"
    assert told["waiting"] == 7
    assert "backlog_has_room_again" in [line["event"] for line in logs]


async def test_too_many_unanswered_turns_keep_the_rest_as_well(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    _add(outbox, "a", "b", "c")
    with capture_logs() as logs:
        async with _shipping(outbox, redis_server.url, LimitSettings(max_unanswered=2)):
            await until(lambda: [line for line in logs if line["event"] == "kept_in_outbox"])
    assert _ids(redis_server) == ["a", "b"]
    assert len(outbox) == 1
    why = next(line["why"] for line in logs if line["event"] == "kept_in_outbox")
    assert why == "the session has 2 unanswered turns"


async def test_what_was_said_survives_the_end_of_its_turn(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    """An eager turn whose producer was away for too long has ended: it becomes a new one."""
    utterance = _utterance("a")
    async with redis_server.client() as client:
        store = Store(client, 1, LimitSettings(turn_timeout_s=0.001, tend_after_s=0.001))
        await publish(store, utterance.model_copy(update={"final": False}))
        while int(await client.hget(SHARD.session("s1"), "done") or 0) < 1:
            await asyncio.sleep(0.01)
            await tend(store, "s1")
    outbox.add(utterance, age_s=0)
    async with _shipping(outbox, redis_server.url) as shipper:
        await shipper.drained()
    first, again = _heard(redis_server)
    assert first.id == "a"
    assert again.id != "a"
    assert again.turn == 2


async def test_what_is_refused_is_parked_and_not_in_the_way(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    _add(outbox, "a", "b", "c")
    with redis_server.sync_client() as client:
        client.lpush(SHARD.seen("b"), "something else")
    with capture_logs() as logs:
        async with _shipping(outbox, redis_server.url) as shipper:
            await shipper.drained()
    assert _ids(redis_server) == ["a", "c"]
    assert len(outbox) == 0
    (parked,) = [line for line in logs if line["event"] == "utterance_parked"]
    assert parked["utterance"] == "b"
    assert "holds a list, not a string" in parked["why"]


# -- the producer killed


def _in_outbox(database: Path) -> list[str]:
    """What a dead producer has left behind; opening it is what a restart does, too."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as db:
        try:
            rows = db.execute("SELECT meta FROM waiting ORDER BY place").fetchall()
        except sqlite3.OperationalError:  # killed before the table was made
            return []
    return [json.loads(meta)["id"] for (meta,) in rows]


def _until_sent(process: subprocess.Popen[str], count: int) -> None:
    """Until `count` were sent, or it has ended."""
    assert process.stderr is not None
    while count and (line := process.stderr.readline()):
        if json.loads(line)["event"] == "utterance_sent":
            count -= 1


def _until_kept(database: Path, process: subprocess.Popen[str]) -> None:
    """Until something waits in the outbox of a process that runs."""
    while not _in_outbox(database):
        assert process.poll() is None, "it ended, with nothing left in its outbox"
        time.sleep(0.01)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """The demo's recording several times over: enough to be killed in the middle of it."""
    samples, rate = soundfile.read(AUDIO, dtype="int16")
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.tile(samples, 6), rate)
    return path


def test_a_listener_that_is_killed_at_any_moment_loses_and_repeats_nothing(
    redis_server: RedisServer, tmp_path: Path, speech: Path
) -> None:
    """Killed at once in every second round; in the others Redis stands still until some wait."""
    rng = random.Random(7)
    processes = CommandProcesses(tmp_path, EARSHOT_REDIS__URL=redis_server.url)
    database = tmp_path / "outbox" / "s1.sqlite3"
    listen = ("listen", "--session", "s1", "--outbox", "outbox", "--input")
    left: list[str] = []
    for stands_still in (False, True, False, True):
        process = processes.start(*listen, str(speech), EARSHOT_LOG__FORMAT="json")
        _until_sent(process, rng.randint(1, 12))
        with redis_server.sync_client() as client:
            if stands_still:
                client.client_pause(timeout=60_000, all=False)
                _until_kept(database, process)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            client.client_unpause()
        found = _in_outbox(database)
        assert found or not stands_still, "it was killed with something in its outbox"
        assert set(left) <= {*found, *_ids(redis_server)}, "what was kept is kept, or sent"
        left += [one for one in found if one not in left]

    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(16_000, np.int16), 16_000)
    status, _, told = finish(processes.start(*listen, str(silence)))
    assert status == 0, told
    heard = _ids(redis_server)
    assert len(heard) == len(set(heard)), "none twice"
    assert set(left) <= set(heard), "none lost"
    assert [one for one in heard if one in set(left)] == left, "in order"
    assert _in_outbox(database) == []


def test_killed_between_the_answer_and_the_forgetting_it_repeats_nothing(
    redis_server: RedisServer, tmp_path: Path, outbox: Outbox
) -> None:
    """As after such a death: Redis has it, and it still lies in the outbox."""
    _add(outbox, "a", "b")

    async def killed() -> None:
        async with redis_server.client() as client:
            await publish(Store(client, 1, LimitSettings()), _utterance("a"))

    asyncio.run(killed())
    outbox.close()
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(16_000, np.int16), 16_000)
    processes = CommandProcesses(tmp_path, EARSHOT_REDIS__URL=redis_server.url)
    listen = ("listen", "--session", "s1", "--outbox", "outbox", "--input", str(silence))
    status, _, told = finish(processes.start(*listen))
    assert status == 0, told
    assert _ids(redis_server) == ["a", "b"]
