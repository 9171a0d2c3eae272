"""A wrong number in one refusal takes no history from anybody."""

import pytest

from common.settings import LlmSettings
from workers.llm.meanings.token_numbers import TokenNumbers
from workers.llm.server.knowledge import Knowledge


@pytest.fixture
def knowledge() -> Knowledge:
    return Knowledge(LlmSettings())


def test_the_smallest_limit_holds(knowledge: Knowledge) -> None:
    assert knowledge.room_for_prompt("m", 100) is None
    knowledge.note_listed({"m": 8_000})
    knowledge.note_refusal("m", TokenNumbers(4_096, prompt=5_000), 100)
    assert knowledge.window("m") == 4_096
    assert knowledge.room_for_prompt("m", 100) == 3_996
    knowledge.note_refusal("m", TokenNumbers(prompt_limit=3_000), 100)
    assert knowledge.room_for_prompt("m", 100) == 3_000
    assert knowledge.window("another") is None


def test_a_number_that_contradicts_its_own_sentence_is_not_believed(knowledge: Knowledge) -> None:
    knowledge.note_refusal("m", TokenNumbers(4_096, prompt=1_000), 100)
    assert knowledge.window("m") is None


def test_a_reply_that_did_fit_proves_a_limit_wrong(knowledge: Knowledge) -> None:
    knowledge.note_refusal("m", TokenNumbers(500, 400), 100)
    knowledge.note_usage("m", {"prompt_tokens": 450, "total_tokens": 490})
    assert knowledge.window("m") == 500
    assert knowledge.room_for_prompt("m", 10) == 490
    knowledge.note_usage("m", {"prompt_tokens": 450, "total_tokens": 501})
    assert knowledge.window("m") is None
    knowledge.note_refusal("m", TokenNumbers(400, 300), 100)
    assert knowledge.room_for_prompt("m", 100) is None, "more than that was answered before"


def test_whether_a_thought_lacks_its_first_tag(knowledge: Knowledge) -> None:
    assert [
        knowledge.starts_in_thought(m) for m in ("m", "deepseek-r1:14b", "QwQ-32B", "gpt-4")
    ] == [
        False,
        True,
        True,
        False,
    ]
    knowledge.note_first_tag("deepseek-r1:14b", is_missing=False)
    assert not knowledge.starts_in_thought("deepseek-r1:14b")
    knowledge.note_first_tag("m", is_missing=True)
    knowledge.note_first_tag("m", is_missing=False)
    assert knowledge.starts_in_thought("m")
