"""`earshot tail` prints what happens, for people and for programs, and goes on after Redis was
away."""

import json
import signal
import subprocess
import time

import pytest
from jsonschema import Draft202012Validator

from common.events import EVENTS, Event, Heard, ReplyDelta, Transcript
from ops.docs.event_schema import build_schema
from tests.integration.cli.conversations import answer, say
from tests.support.command_line import DEADLINE_S, CommandProcesses, InProcessCommand
from tests.support.redis_server import RedisServer

VALIDATOR = Draft202012Validator(build_schema())


def _printed(earshot: InProcessCommand, *more: str) -> list[Event]:
    status, shown, told = earshot("tail", "--json", "--no-follow", *more)
    assert (status, told) == (0, "")
    for line in shown.splitlines():
        VALIDATOR.validate(json.loads(line))
    return [EVENTS.validate_json(line) for line in shown.splitlines()]


def test_every_line_is_an_event(server: RedisServer, earshot: InProcessCommand) -> None:
    say(server, "Hello", "Grüße 🙂", session="a")
    events = _printed(earshot, "--since", "all")
    assert [type(event) for event in events] == [Heard, Transcript, Heard, Transcript]
    assert [event.turn for event in events] == [1, 1, 2, 2]
    assert isinstance(events[3], Transcript)
    assert events[3].data.text == "Grüße 🙂"


def test_for_people_it_is_a_conversation(server: RedisServer, earshot: InProcessCommand) -> None:
    say(server, "Hello", session="a")
    answer(server, "a", "Hi there!")
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
    say(server, "Hello", session="a")
    answer(server, "a", "Hi there!")
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
        say(server, "Hello", session=session, shards=3)
    assert {event.session for event in _printed(earshot, "--since", "all")} == set("abcd")
    only = _printed(earshot, "--since", "all", "--session", "c")
    assert {event.session for event in only} == {"c"}


@pytest.mark.parametrize(
    ("since", "count"), [("now", 0), ("all", 2), ("1h", 2), ("90s", 2), ("3d", 2)]
)
def test_it_begins_where_it_is_told_to(
    since: str, count: int, server: RedisServer, earshot: InProcessCommand
) -> None:
    say(server, "Hello")
    assert len(_printed(earshot, "--since", since)) == count


def test_ages_count_by_the_servers_clock(
    server: RedisServer, earshot: InProcessCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(server, "Hello")
    monkeypatch.setattr(time, "time", lambda: 4e9)  # this host's clock is decades ahead
    assert len(_printed(earshot, "--since", "60s")) == 2


def test_without_events_there_is_nothing_to_print(earshot: InProcessCommand) -> None:
    assert _printed(earshot, "--since", "all", "--deltas") == []


def _lines(process: subprocess.Popen[str], count: int) -> list[Event]:
    assert process.stdout is not None
    return [EVENTS.validate_json(process.stdout.readline()) for _ in range(count)]


def test_it_follows_over_a_restart_of_redis(processes: CommandProcesses) -> None:
    options = {"appendonly": "yes", "appendfsync": "always"}
    with RedisServer(options=options) as server:
        say(server, "one")
        process = processes.start("tail", "--json", "--since", "all", EARSHOT_REDIS__URL=server.url)
        assert [event.turn for event in _lines(process, 2)] == [1, 1]
        say(server, "two")
        assert [event.turn for event in _lines(process, 2)] == [2, 2]
        server.restart()
        say(server, "three")
        assert [event.turn for event in _lines(process, 2)] == [3, 3]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert out == ""
    logged = [json.loads(line)["event"] for line in err.splitlines()]
    assert logged == ["redis_is_away", "redis_is_back"]
