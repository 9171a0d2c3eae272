"""A prepared answer goes to the requests that it is meant for, and no more often than it is to."""

from typing import Any

import pytest

from ops.demo.standin.faults import Control
from ops.demo.standin.prepared import Condition, PreparedAnswer, find_prepared

REQUEST: dict[str, Any] = {
    "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "and now"}],
    "max_tokens": 64,
    "temperature": 1,
}


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ({}, True),
        ({"param": "temperature"}, True),
        ({"param": "stream"}, False),
        ({"role": "system"}, True),
        ({"role": "assistant"}, False),
        ({"messages_above": 1}, True),
        ({"messages_above": 2}, False),
        ({"max_tokens_above": 63}, True),
        ({"max_tokens_above": 64}, False),
        ({"newest": "now"}, True),
        ({"newest": "x"}, False),
        ({"newest": "now", "role": "assistant"}, False),
    ],
)
def test_which_requests_are_meant(condition: dict[str, Any], fits: bool) -> None:
    assert Condition(**condition).fits(REQUEST) is fits


def test_the_first_that_fits_is_sent_as_often_as_it_is_to() -> None:
    twice = {"parts": ["a"], "count": 2, "to": {"role": "user"}}
    control = Control.model_validate({"prepared": [twice, {"parts": ["b"]}]})
    sent: list[str] = []
    for _ in range(4):
        answer = find_prepared(control.prepared, "chat", REQUEST)
        assert answer is not None
        sent += answer.parts
        control = control.after_prepared(answer)
    assert sent == ["a", "a", "b", "b"]


def test_other_endpoints_have_answers_of_their_own() -> None:
    answers = (PreparedAnswer(endpoint="models"),)
    assert find_prepared(answers, "chat", REQUEST) is None
    assert find_prepared(answers, "models", {}) == answers[0]
