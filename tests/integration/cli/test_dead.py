"""Dead letters can be listed, shown, heard, replayed once and dropped, whatever is in them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from common.audio import encode
from common.events import Error, Heard, parse_event
from common.keys import STT_GROUP, Shard
from common.redis.store import Store
from common.transitions.claims import Claim
from common.transitions.publishing import publish
from common.transitions.transcribing import bury_utterance
from common.utterance import Utterance
from tests.integration.conftest import with_store
from tests.support.command_line import CommandProcesses, InProcessCommand
from tests.support.redis_server import RedisServer

SHARD = Shard(0)
AUDIO = (np.sin(np.arange(8_000) / 10) * 8_000).astype(np.int16)
WORKER = "stt-1"


async def _bury_one(store: Store, name: str, reason: str, session: str) -> None:
    """As it comes to be: published, claimed by a worker, given up."""
    utterance = Utterance(
        id=name,
        session=session,
        audio=encode(AUDIO),
        samples=len(AUDIO),
        speech_ms=500,
        source="kitchen.wav",
        persona="butler",
    )
    published = await publish(store, utterance)
    redis: Any = store.redis
    rows = await redis.xreadgroup(STT_GROUP, WORKER, {SHARD.utterances: ">"}, count=1)
    await bury_utterance(
        store,
        Claim(SHARD, SHARD.utterances, rows[0][1][0][0].decode(), WORKER),
        session=session,
        turn=published.turn,
        utterance=name,
        reason=reason,
        error="the engine [bold]fell over[/nothing]\x1b[2J",
        deliveries=5,
        worker=WORKER,
    )


def _bury(server: RedisServer, *names: str, reason: str = "bug", session: str = "s1") -> list[str]:
    """Makes dead letters; returns the ids of all that there are."""

    async def act(store: Store) -> None:
        redis: Any = store.redis
        await redis.xgroup_create(SHARD.utterances, STT_GROUP, "0", mkstream=True)
        for name in names:
            await _bury_one(store, name, reason, session)
        await redis.xgroup_destroy(SHARD.utterances, STT_GROUP)

    with_store(server, act)
    return _ids(server)


def _ids(server: RedisServer) -> list[str]:
    with server.sync_client() as client:
        return [entry.decode() for entry, _ in client.xrange(SHARD.dead)]


def _plant(server: RedisServer, **fields: str | bytes) -> str:
    with server.sync_client() as client:
        return str(client.xadd(SHARD.dead, dict(fields)).decode())


def _listed(earshot: InProcessCommand, *more: str) -> list[dict[str, Any]]:
    status, shown, told = earshot("dead", "list", "--json", *more)
    assert (status, told) == (0, "")
    return [json.loads(line) for line in shown.splitlines()]


# -- list and show


def test_without_any_it_says_so(earshot: InProcessCommand) -> None:
    assert earshot("dead", "list") == (0, "No dead letters.\n", "")
    assert earshot("dead", "replay", "--all") == (0, "No dead letters.\n", "")
    assert _listed(earshot) == []


def test_they_are_listed_oldest_first_with_the_reason(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    _bury(server, "a", "b")
    letters = _bury(server, "c", reason="bad_audio", session="s2")
    shown = _listed(earshot)
    assert [one["letter"] for one in shown] == letters
    assert [one["id"] for one in shown] == ["a", "b", "c"]
    assert shown[0]["reason"] == "bug"
    assert (shown[0]["session"], shown[0]["turn"], shown[0]["deliveries"]) == ("s1", 1, 5)
    assert shown[0]["audio_bytes"] == len(encode(AUDIO))
    assert [one["id"] for one in _listed(earshot, "--reason", "bad_audio")] == ["c"]


def test_what_stands_in_one_is_no_markup_and_no_command_to_the_terminal(
    server: RedisServer, earshot: InProcessCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _bury(server, "a")
    status, shown, _ = earshot("dead", "list")
    assert status == 0
    assert "[bold]fell over[/nothing]" in shown
    assert "\x1b" not in shown


def test_nothing_is_cut_off_where_there_is_no_room(
    server: RedisServer, earshot: InProcessCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (letter,) = _bury(server, "a", session="a-long-name-of-a-session-" + "x" * 39)
    status, shown, _ = earshot("dead", "list")
    assert status == 0
    assert letter in shown
    assert "…" not in shown
    assert shown.count("x") == 39


@pytest.mark.parametrize(
    "fields",
    [
        {"junk": b"\xff\xfe\x00"},
        {"session": b"{0}\n", "turn": "²", "at": "9" * 5_000},
        {"session": "s1", "reason": "x" * 100_000},
        {"audio": b"not flac", "codec": "flac", "rate": "²", "samples": "-1"},
    ],
)
def test_anything_can_be_listed_shown_and_dropped(
    fields: dict[str, str | bytes], server: RedisServer, earshot: InProcessCommand
) -> None:
    letter = _plant(server, **fields)
    assert _listed(earshot)[0]["letter"] == letter
    assert earshot("dead", "list")[0] == 0
    status, shown, _ = earshot("dead", "show", letter)
    assert status == 0
    assert json.loads(shown)["letter"] == letter
    status, _, told = earshot("dead", "show", letter, "--save", "out.wav")
    assert status == 2
    assert letter in told
    assert not Path("out.wav").exists()
    assert earshot("dead", "drop", letter)[0] == 0
    assert _ids(server) == []


def test_its_audio_can_be_saved_and_heard(server: RedisServer, earshot: InProcessCommand) -> None:
    (letter,) = _bury(server, "a")
    status, _, told = earshot("dead", "show", letter, "--save", "out.wav")
    assert (status, told) == (0, "Saved 0.5 s to out.wav.\n")
    samples, rate = soundfile.read("out.wav", dtype="int16")
    assert rate == 16_000
    assert np.array_equal(samples, AUDIO)


def test_a_place_that_cannot_be_written_is_one_sentence(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    (letter,) = _bury(server, "a")
    status, _, told = earshot("dead", "show", letter, "--save", "no/such/folder/out.wav")
    assert status == 2
    assert told.startswith("earshot: no/such/folder/out.wav cannot be written")


@pytest.mark.parametrize("letter", ["5-0", "5", "1-2-3", "nothing", "9" * 40, "²", "-", "5-0\n"])
@pytest.mark.parametrize("action", ["show", "replay", "drop"])
def test_one_that_does_not_exist_is_one_sentence(
    letter: str, action: str, earshot: InProcessCommand
) -> None:
    status, _, told = earshot("dead", action, "--", letter)
    assert status != 0
    assert "there is no dead letter" in told
    assert "Traceback" not in told


# -- replay and drop


def test_a_replay_is_a_new_turn_that_says_where_it_came_from(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    (letter,) = _bury(server, "a")
    status, shown, told = earshot("dead", "replay", letter)
    assert (status, told) == (0, "")
    assert shown == f"{letter}: replayed as turn 2 of session s1\n"
    assert _ids(server) == []
    with server.sync_client() as client:
        ((_, fields),) = client.xrange(SHARD.utterances)
        events = [parse_event(fields) for _, fields in client.xrange(SHARD.results)]
    again = Utterance.from_fields(fields, max_audio=10**6)
    assert (again.turn, again.revision, again.replay_of, again.persona) == (2, 1, "a", "butler")
    assert again.audio == encode(AUDIO)
    assert again.id != "a"
    heard, error, heard_again = events
    assert isinstance(heard, Heard)
    assert isinstance(error, Error)
    assert isinstance(heard_again, Heard)
    assert (heard_again.turn, heard_again.id, heard_again.data.replay_of) == (2, again.id, "a")


def test_none_is_replayed_twice(server: RedisServer, earshot: InProcessCommand) -> None:
    (letter,) = _bury(server, "a")
    status, shown, told = earshot("dead", "replay", letter, letter)
    assert status == 1
    assert shown.count("replayed") == 1
    assert "there is no dead letter" in told
    with server.sync_client() as client:
        assert client.xlen(SHARD.utterances) == 1


def test_all_with_one_reason_are_replayed(server: RedisServer, earshot: InProcessCommand) -> None:
    _bury(server, "a", "b")
    kept = _bury(server, "c", reason="bad_audio")[-1]
    status, shown, _ = earshot("dead", "replay", "--all", "--reason", "bug")
    assert status == 0
    assert len(shown.splitlines()) == 2
    assert _ids(server) == [kept]


def test_what_cannot_be_replayed_does_not_stop_the_others(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    unusable = _plant(server, session="a b", audio="x")
    empty = _plant(server, session="s1")
    _bury(server, "a")
    status, shown, told = earshot("dead", "replay", "--all")
    assert status == 1
    assert shown.count("replayed as turn") == 1
    assert f"{unusable}: it names no usable session" in told
    assert f"{empty}: this dead letter holds neither audio nor a text" in told
    assert _ids(server) == [unusable, empty]


def test_a_letter_with_a_text_needs_no_second_stt(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    letter = _plant(server, session="s1", id="old", text="What time is it?", stage="llm")
    assert earshot("dead", "replay", letter)[0] == 0
    with server.sync_client() as client:
        assert client.xlen(SHARD.utterances) == 0
        assert client.xlen(SHARD.turns) == 1


def test_a_full_backlog_keeps_them(
    server: RedisServer, earshot: InProcessCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = _bury(server, "a", "b")
    monkeypatch.setenv("EARSHOT_LIMITS__MAX_BACKLOG", "1")
    status, shown, told = earshot("dead", "replay", "--all")
    assert status == 1
    assert shown.count("replayed") == 1
    assert f"{letters[1]}: it cannot be replayed now: the backlog holds 1 utterances" in told
    assert _ids(server) == letters[1:]


def test_some_are_dropped_for_good(server: RedisServer, earshot: InProcessCommand) -> None:
    letters = _bury(server, "a", "b", "c")
    assert earshot("dead", "drop", *letters[:2])[0] == 0
    assert _ids(server) == letters[2:]
    assert earshot("dead", "drop", "--all")[0] == 0
    assert _ids(server) == []


def test_a_foreign_key_in_the_way_is_one_sentence(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    with server.sync_client() as client:
        client.set(SHARD.dead, "something else")
    status, _, told = earshot("dead", "list")
    assert status == 1
    assert told.startswith("earshot: Redis at ")
    assert "WRONGTYPE" in told


def test_by_a_real_process(server: RedisServer, earshot: InProcessCommand, tmp_path: Path) -> None:
    letters = _bury(server, "a", "b")
    processes = CommandProcesses(tmp_path, EARSHOT_REDIS__URL=server.url)
    status, shown, told = processes.run("dead", "replay", *letters)
    assert (status, told) == (0, "")
    assert shown.splitlines() == [
        f"{letters[0]}: replayed as turn 3 of session s1",
        f"{letters[1]}: replayed as turn 4 of session s1",
    ]
