"""`earshot status` counts what waits, is in hand, works and died."""

import json
import time
from typing import Any

import pytest

from common.keys import STT_GROUP, WORKERS, worker_key
from common.redis.store import Store
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.integration.cli.conversations import SHARD, say
from tests.integration.conftest import with_store
from tests.support.command_line import InProcessCommand
from tests.support.redis_server import RedisServer


def _speak(server: RedisServer, *names: str, recording: bool = False) -> None:
    async def act(store: Store) -> None:
        for name in names:
            await publish(
                store,
                Utterance(id=name, session=name, audio=b"ab", samples=1, codec="pcm_s16le"),
                recording=recording,
            )

    with_store(server, act)


def _status(earshot: InProcessCommand) -> dict[str, Any]:
    status, shown, told = earshot("status", "--json")
    assert (status, told) == (0, "")
    snapshot: dict[str, Any] = json.loads(shown)
    return snapshot


def test_of_an_idle_system(earshot: InProcessCommand) -> None:
    nothing = {"waiting": 0, "in_hand": 0, "oldest_s": 0.0, "deferred": 0}
    assert _status(earshot) == {
        "stages": dict.fromkeys(("utterances", "recordings", "turns"), nothing),
        "open_sessions": 0,
        "dead_letters": 0,
        "dead_letter_bytes": 0,
        "set_aside": {"count": 0, "sessions": {}},
        "workers": [],
    }
    status, shown, _ = earshot("status")
    assert status == 0
    assert "No worker is running" in shown


def test_it_counts_what_waits_and_what_is_in_hand(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    _speak(server, "a", "b", "c")
    _speak(server, "d", recording=True)
    say(server, "Hello", session="e")
    with server.sync_client() as client:
        client.xgroup_create(SHARD.utterances, STT_GROUP, "0")
        client.xreadgroup(STT_GROUP, "stt-1", {SHARD.utterances: ">"}, count=1)
        client.xadd(SHARD.dead, {"session": "x"})
    snapshot = _status(earshot)
    counted = {
        name: (stage["waiting"], stage["in_hand"]) for name, stage in snapshot["stages"].items()
    }
    assert counted == {"utterances": (2, 1), "recordings": (1, 0), "turns": (1, 0)}
    assert all(0 <= stage["oldest_s"] < 60 for stage in snapshot["stages"].values())
    assert snapshot["open_sessions"] == 5
    assert snapshot["dead_letters"] == 1


def test_the_oldest_counts_by_the_servers_clock(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    with server.sync_client() as client:
        seconds, _ = client.time()
        client.xadd(SHARD.utterances, {"v": "1"}, id=f"{(seconds - 100) * 1000}-0")
    oldest = _status(earshot)["stages"]["utterances"]["oldest_s"]
    assert 99 <= oldest < 160


def test_it_sums_over_all_shards(
    server: RedisServer, earshot: InProcessCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSHOT_SHARDS", "3")
    for session in ("a", "b", "c", "d"):
        say(server, "Hello", session=session, shards=3)
    snapshot = _status(earshot)
    assert snapshot["stages"]["turns"]["waiting"] == 4
    assert snapshot["open_sessions"] == 4


def _report(server: RedisServer, name: str, state: str) -> None:
    with server.sync_client() as client:
        client.set(worker_key(name), state, px=60_000)
        client.zadd(WORKERS, {name: time.time()})


def test_workers_say_what_they_do_and_wait_for(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    head = {"host": "h", "pid": 1, "started_at": time.time() - 600}
    waits = "the LLM server at http://h [errno 111] is away"
    _report(
        server,
        "stt-1",
        json.dumps(head | {"name": "stt-1", "role": "stt", "state": "ready", "in_hand": 1}),
    )
    _report(
        server,
        "llm-1",
        json.dumps(head | {"name": "llm-1", "role": "llm", "state": "waiting", "waits_for": waits}),
    )
    with server.sync_client() as client:
        client.zadd(WORKERS, {"gone": time.time()})  # its state has expired
    assert [worker["name"] for worker in _status(earshot)["workers"]] == ["llm-1", "stt-1"]
    status, shown, _ = earshot("status")
    assert status == 0
    words = " ".join(shown.split())
    assert "stt-1 stt ready 1 10 min" in words
    assert "[errno 111]" in words


@pytest.mark.parametrize(
    "state",
    ["", "{", "[]", "5", "null", '{"name": "x"}', '{"started_at": "then"}', '{"started_at": []}'],
)
def test_a_strange_worker_hides_nobody(
    state: str, server: RedisServer, earshot: InProcessCommand
) -> None:
    _report(server, "strange", state)
    good = {"name": "stt-1", "role": "stt", "state": "ready", "started_at": 0}
    _report(server, "stt-1", json.dumps(good))
    status, shown, told = earshot("status", "--json")
    assert status == 0
    assert [worker["name"] for worker in json.loads(shown)["workers"]] == ["stt-1"]
    assert "bad_worker_entry" in told
    assert earshot("status")[0] == 0


def test_a_foreign_key_in_the_way_is_one_sentence(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    with server.sync_client() as client:
        client.set(SHARD.open, "something else")
    status, shown, told = earshot("status", "--json")
    assert (status, shown) == (1, "")
    assert told.startswith("earshot: Redis at ")
    assert "WRONGTYPE" in told


def test_shows_what_was_set_aside_and_what_dead_letters_take(
    earshot: InProcessCommand, server: RedisServer
) -> None:
    with server.sync_client() as client:
        for number in range(30):
            client.hset(SHARD.quarantine, f"s{number}", f"the reason {number}")
        client.xadd(SHARD.dead, {"session": "s1", "audio": "x"})
        client.set(SHARD.letters["dead_bytes"], 3 * 2**20)
    snapshot = _status(earshot)
    assert snapshot["dead_letter_bytes"] == 3 * 2**20
    assert snapshot["set_aside"]["count"] == 30
    assert len(snapshot["set_aside"]["sessions"]) == 20
    _, shown, _ = earshot("status")
    assert "1 (3.0 MiB)" in shown
    assert "set aside      30" in shown
    assert "the reason" in shown
    assert "and 10 more" in shown
