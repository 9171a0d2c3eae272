"""`earshot tail` prints what happens, for people and for programs, and goes on after Redis was
away; `earshot status` counts what waits, is in hand, works and died."""

import json
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from common.events import EVENTS, Event, Heard, ReplyDelta, Transcript
from common.keys import LLM_GROUP, STT_GROUP, WORKERS, Shard, worker_key
from common.redis.store import Store
from common.transitions.answering import Attempt, delta, settle_turn, take_turn
from common.transitions.claims import Claim
from common.transitions.publishing import publish
from common.utterance import Utterance
from ops.docs.event_schema import build_schema
from tests.integration.conftest import with_store
from tests.support.command_line import DEADLINE_S, CommandProcesses, InProcessCommand
from tests.support.redis_server import RedisServer

SHARD = Shard(0)
VALIDATOR = Draft202012Validator(build_schema())


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(tmp_path)
    yield processes
    processes.close()


def _say(server: RedisServer, *texts: str, session: str = "s1", shards: int = 1) -> None:
    async def act(store: Store) -> None:
        for text in texts:
            utterance = Utterance(id=uuid.uuid4().hex, session=session, text=text)
            await publish(store, utterance)

    with_store(server, act, shards)


def _speak(server: RedisServer, *names: str, recording: bool = False) -> None:
    async def act(store: Store) -> None:
        for name in names:
            await publish(
                store, Utterance(id=name, session=name, audio=b"x", samples=1), recording=recording
            )

    with_store(server, act)


def _answer(server: RedisServer, session: str, text: str) -> None:
    """As an LLM worker does: take, two deltas, settle."""

    async def act(store: Store) -> None:
        redis: Any = store.redis
        await redis.xgroup_create(SHARD.turns, LLM_GROUP, "0", mkstream=True)
        rows = await redis.xreadgroup(LLM_GROUP, "llm-1", {SHARD.turns: ">"}, count=1)
        claim = Claim(SHARD, SHARD.turns, rows[0][1][0][0].decode(), "llm-1")
        attempt = await take_turn(store, claim, session, token="t", max_merge=1, history=0)
        assert isinstance(attempt, Attempt)
        for index, piece in enumerate(text.split()):
            await delta(store, attempt, index, piece)
        await settle_turn(
            store,
            attempt,
            text=text,
            detail={"model": "m"},
            first_token_ms=1,
            keep=2,
            messages=[],
        )

    with_store(server, act)


def _printed(earshot: InProcessCommand, *more: str) -> list[Event]:
    status, shown, told = earshot("tail", "--json", "--no-follow", *more)
    assert (status, told) == (0, "")
    for line in shown.splitlines():
        VALIDATOR.validate(json.loads(line))
    return [EVENTS.validate_json(line) for line in shown.splitlines()]


# -- tail


def test_every_line_is_an_event(server: RedisServer, earshot: InProcessCommand) -> None:
    _say(server, "Hello", "Grüße 🙂", session="a")
    events = _printed(earshot, "--since", "all")
    assert [type(event) for event in events] == [Heard, Transcript, Heard, Transcript]
    assert [event.turn for event in events] == [1, 1, 2, 2]
    assert isinstance(events[3], Transcript)
    assert events[3].data.text == "Grüße 🙂"


def test_for_people_it_is_a_conversation(server: RedisServer, earshot: InProcessCommand) -> None:
    _say(server, "Hello", session="a")
    _answer(server, "a", "Hi there!")
    status, shown, told = earshot("tail", "--no-follow", "--since", "all", "--session", "a")
    assert (status, told) == (0, "")
    user, ai = shown.splitlines()
    assert user == "User: Hello"
    assert ai.startswith("AI  : Hi there!   [first token ")
    _, shown, _ = earshot("tail", "--no-follow", "--since", "all")
    assert shown.startswith("[a] User: Hello\n")


def test_deltas_are_printed_when_they_are_wanted(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    _say(server, "Hello", session="a")
    _answer(server, "a", "Hi there!")
    events = _printed(earshot, "--since", "all", "--deltas")
    assert [event.data.text for event in events if isinstance(event, ReplyDelta)] == [
        "Hi",
        "there!",
    ]
    assert not [one for one in _printed(earshot, "--since", "all") if isinstance(one, ReplyDelta)]


def test_one_session_can_be_followed_on_its_own(
    server: RedisServer, earshot: InProcessCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSHOT_SHARDS", "3")
    for session in ("a", "b", "c", "d"):
        _say(server, "Hello", session=session, shards=3)
    assert {event.session for event in _printed(earshot, "--since", "all")} == set("abcd")
    only = _printed(earshot, "--since", "all", "--session", "c")
    assert {event.session for event in only} == {"c"}


@pytest.mark.parametrize(
    ("since", "count"), [("now", 0), ("all", 2), ("1h", 2), ("90s", 2), ("3d", 2)]
)
def test_it_begins_where_it_is_told_to(
    since: str, count: int, server: RedisServer, earshot: InProcessCommand
) -> None:
    _say(server, "Hello")
    assert len(_printed(earshot, "--since", since)) == count


def test_ages_count_by_the_servers_clock(
    server: RedisServer, earshot: InProcessCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    _say(server, "Hello")
    monkeypatch.setattr(time, "time", lambda: 4e9)  # this host's clock is decades ahead
    assert len(_printed(earshot, "--since", "60s")) == 2


def test_without_events_there_is_nothing_to_print(earshot: InProcessCommand) -> None:
    assert _printed(earshot, "--since", "all", "--deltas") == []


def _lines(process: subprocess.Popen[str], count: int) -> list[Event]:
    assert process.stdout is not None
    return [EVENTS.validate_json(process.stdout.readline()) for _ in range(count)]


def test_it_follows_over_a_restart_of_redis(tmp_path: Path, processes: CommandProcesses) -> None:
    options = {"appendonly": "yes", "appendfsync": "always"}
    with RedisServer(options=options) as server:
        _say(server, "one")
        process = processes.start("tail", "--json", "--since", "all", EARSHOT_REDIS__URL=server.url)
        assert [event.turn for event in _lines(process, 2)] == [1, 1]
        _say(server, "two")
        assert [event.turn for event in _lines(process, 2)] == [2, 2]
        server.restart()
        _say(server, "three")
        assert [event.turn for event in _lines(process, 2)] == [3, 3]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert out == ""
    logged = [json.loads(line)["event"] for line in err.splitlines()]
    assert logged == ["redis_is_away", "redis_is_back"]


# -- status


def _status(earshot: InProcessCommand) -> dict[str, Any]:
    status, shown, told = earshot("status", "--json")
    assert (status, told) == (0, "")
    snapshot: dict[str, Any] = json.loads(shown)
    return snapshot


def test_of_an_idle_system(earshot: InProcessCommand) -> None:
    nothing = {"waiting": 0, "in_hand": 0, "oldest_s": 0.0}
    assert _status(earshot) == {
        "stages": dict.fromkeys(("utterances", "recordings", "turns"), nothing),
        "open_sessions": 0,
        "dead_letters": 0,
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
    _say(server, "Hello", session="e")
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
        _say(server, "Hello", session=session, shards=3)
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
