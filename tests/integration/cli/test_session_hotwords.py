"""People can give a conversation words of its own, see them and its language, and take
them back."""

import json

import pytest

from common.redis.store import Store
from common.transitions.transcribing import settle_utterance
from tests.integration.conftest import with_store
from tests.support.command_line import InProcessCommand
from tests.support.redis_server import RedisServer
from tests.transitions.steps import ADA, hear, identity, read


def test_words_are_chosen_and_given_up(earshot: InProcessCommand) -> None:
    status, shown, told = earshot("session", "set", "kitchen", "--hotwords", "Anja Müller, kubectl")
    assert (status, told) == (0, "")
    assert shown == "kitchen: STT expects Anja Müller, kubectl from the next utterance on\n"
    assert "Hotwords: Anja Müller, kubectl" in earshot("session", "show", "kitchen")[1]
    assert earshot("session", "set", "kitchen", "--hotwords", "")[0] == 0
    assert "Hotwords" not in earshot("session", "show", "kitchen")[1]


def test_persona_and_words_can_be_chosen_together(earshot: InProcessCommand) -> None:
    chosen = ("--persona", "tour-guide", "--hotwords", "Uffizi")
    assert earshot("session", "set", "kitchen", *chosen)[0] == 0
    found = json.loads(earshot("session", "show", "kitchen", "--json")[1])
    assert (found["persona"], found["hotwords"]) == ("tour-guide", "Uffizi")


def test_the_language_that_was_heard_is_shown(
    server: RedisServer, earshot: InProcessCommand
) -> None:
    async def hear_german(store: Store) -> None:
        await hear(store, "u1")
        claim, fields = await read(store)
        await settle_utterance(
            store,
            claim,
            **identity(fields),
            text="Hallo",
            stt_ms=1,
            detail={},
            language="de",
        )

    with_store(server, hear_german)
    assert "Language: de" in earshot("session", "show", ADA)[1]


@pytest.mark.parametrize("words", ["a\nb", "x" * 10_001])
def test_words_that_cannot_be_are_refused(words: str, earshot: InProcessCommand) -> None:
    status, shown, told = earshot("session", "set", "kitchen", "--hotwords", words)
    assert (status, shown) == (2, "")
    assert "hotwords have at most 10000 characters" in told
