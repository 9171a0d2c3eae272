"""People can see what is remembered of a conversation, choose who answers in it, and have it
forgotten."""

import json
import uuid
from typing import Any

import pytest

from common.events import Skipped, parse_event
from common.keys import LLM_GROUP, Shard
from common.redis.store import Store
from common.transitions.answering import Attempt, settle_turn, take_turn
from common.transitions.claims import Claim
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.integration.conftest import with_store
from tests.support.command_line import InProcessCommand
from tests.support.redis_server import RedisServer

SHARD = Shard(0)


async def _hear(store: Store, session: str, **fields: Any) -> None:
    await publish(store, Utterance(id=uuid.uuid4().hex, session=session, **fields))


async def _take(store: Store, session: str) -> Attempt:
    """As an LLM worker does."""
    redis: Any = store.redis
    shard = store.shard(session)
    if not await redis.exists(shard.turns) or not await redis.xinfo_groups(shard.turns):
        await redis.xgroup_create(shard.turns, LLM_GROUP, "0", mkstream=True)
    rows = await redis.xreadgroup(LLM_GROUP, "llm-1", {shard.turns: ">"}, count=1)
    claim = Claim(shard, shard.turns, rows[0][1][0][0].decode(), "llm-1")
    attempt = await take_turn(store, claim, session, token="t", max_merge=1, history=0)
    assert isinstance(attempt, Attempt)
    return attempt


async def _answer(store: Store, session: str, question: str, answer: str) -> None:
    await _hear(store, session, text=question)
    await settle_turn(
        store,
        await _take(store, session),
        text=answer,
        detail={"model": "m"},
        first_token_ms=1,
        keep=10,
        messages=[
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ],
    )


def _talk(server: RedisServer, session: str = "kitchen", *, shards: int = 1) -> None:
    """Two rounds, a turn that is being answered, and one that waits for its transcript."""

    async def act(store: Store) -> None:
        await _answer(store, session, "My name is Ada.", "Hello, Ada.")
        await _answer(store, session, "What [b]time\x1b[2J is it?", "Time for tea.")
        await _hear(store, session, text="And now?")
        await _take(store, session)
        await _hear(store, session, audio=b"ab", samples=1, codec="pcm_s16le")

    with_store(server, act, shards)


def _listed(earshot: InProcessCommand) -> list[dict[str, Any]]:
    status, shown, told = earshot("session", "list", "--json")
    assert (status, told) == (0, "")
    return [json.loads(line) for line in shown.splitlines()]


def test_without_any_it_says_so(earshot: InProcessCommand) -> None:
    assert earshot("session", "list") == (0, "No sessions.\n", "")
    assert _listed(earshot) == []


def test_they_are_listed_newest_first(server: RedisServer, earshot: InProcessCommand) -> None:
    _talk(server)
    with_store(server, lambda store: _answer(store, "hall", "Hello.", "Hello."))
    hall, kitchen = _listed(earshot)
    assert (hall["session"], hall["turns"], hall["unanswered"]) == ("hall", 1, 0)
    assert hall["messages"] == 2
    assert 0 < hall["expires_in_s"] <= 86_400
    assert (kitchen["session"], kitchen["turns"], kitchen["unanswered"]) == ("kitchen", 4, 2)
    assert kitchen["expires_in_s"] is None
    assert 0 <= kitchen["began_s"] < 60
    status, shown, _ = earshot("session", "list")
    assert status == 0
    assert "kitchen" in shown


def test_those_of_every_shard(
    server: RedisServer, earshot: InProcessCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSHOT_SHARDS", "3")

    async def act(store: Store) -> None:
        for session in ("a", "b", "c", "d"):
            await _hear(store, session, text="Hello.")

    with_store(server, act, 3)
    assert {one["session"] for one in _listed(earshot)} == set("abcd")
    assert json.loads(earshot("session", "show", "c", "--json")[1])["unanswered"] == 1


def test_one_is_shown_for_people(server: RedisServer, earshot: InProcessCommand) -> None:
    _talk(server)
    status, shown, told = earshot("session", "show", "kitchen")
    assert (status, told) == (0, "")
    head, persona, *lines = shown.splitlines()
    assert head.startswith("Session kitchen, begun ")
    assert "4 turns, 2 unanswered" in head
    assert persona == "Persona: as the producer asks, or the default"
    assert lines == [
        "User: My name is Ada.",
        "AI  : Hello, Ada.",
        "User: What [b]time [2J is it?",  # nothing that the terminal would obey
        "AI  : Time for tea.",
        "Turn 3 is being answered: And now?",
        "Turn 4 waits for its transcript",
    ]


def test_one_is_shown_for_programs(server: RedisServer, earshot: InProcessCommand) -> None:
    _talk(server)
    found = json.loads(earshot("session", "show", "kitchen", "--json")[1])
    assert found["history"][0] == {"role": "user", "content": "My name is Ada."}
    assert [(turn["turn"], turn["state"]) for turn in found["open"]] == [
        (3, "is being answered"),
        (4, "waits for its transcript"),
    ]


def test_a_persona_is_chosen_and_given_up(server: RedisServer, earshot: InProcessCommand) -> None:
    status, shown, told = earshot("session", "set", "kitchen", "--persona", "Tour guide")
    assert (status, told) == (0, "")
    assert shown == "kitchen: Tour guide answers from the next turn on\n"
    assert _listed(earshot)[0]["persona"] == "Tour guide"
    assert "Persona: Tour guide" in earshot("session", "show", "kitchen")[1]
    with_store(server, lambda store: _hear(store, "kitchen", text="Hello.", persona="butler"))
    attempt = with_store(server, lambda store: _take(store, "kitchen"))
    assert attempt.persona == "Tour guide"
    assert earshot("session", "set", "kitchen", "--persona", "")[0] == 0
    assert _listed(earshot)[0]["persona"] == ""


def test_a_persona_that_nobody_here_knows_is_set_and_said(earshot: InProcessCommand) -> None:
    status, _, told = earshot("session", "set", "kitchen", "--persona", "butler")
    assert status == 0
    assert "has no persona 'butler'" in told
    assert "tour-guide" in told
    assert _listed(earshot)[0]["persona"] == "butler"


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "kitchen", "--persona", "x" * 65),
        ("set", "kitchen", "--persona", "a\nb"),
        ("set", "a b", "--persona", "x"),
        ("set", "kitchen"),
        ("show", "a b"),
        ("show", "nobody"),
        ("forget",),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: tuple[str, ...], earshot: InProcessCommand
) -> None:
    status, shown, told = earshot("session", *arguments)
    assert (status, shown) == (2, "")
    assert "Traceback" not in told
    assert told


def test_forgetting_leaves_nothing_of_what_was_remembered(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    _talk(server)
    status, shown, told = earshot("session", "forget", "kitchen")
    assert (status, told) == (0, "")
    assert shown == "kitchen: forgotten, 2 unfinished turns ended as skipped\n"
    assert _listed(earshot) == []
    with server.sync_client() as client:
        for key in (SHARD.session("kitchen"), SHARD.inbox("kitchen"), SHARD.history("kitchen")):
            assert not client.exists(key)
        events = [parse_event(fields) for _, fields in client.xrange(SHARD.results)]
    ended = [event for event in events if isinstance(event, Skipped)]
    assert [(event.turn, event.data.reason) for event in ended] == [
        (3, "forgotten"),
        (4, "forgotten"),
    ]


def test_what_cannot_be_forgotten_does_not_stop_the_others(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    _talk(server)
    status, shown, told = earshot("session", "forget", "nobody", "a b", "kitchen")
    assert status == 1
    assert shown.startswith("kitchen: forgotten")
    assert "nobody: there is no session 'nobody'" in told
    assert "a b: session id 'a b' is not usable" in told
