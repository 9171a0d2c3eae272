"""A plan settles refusals, limits and endings from the request and the knobs alone."""

from __future__ import annotations

from typing import Any

import pytest

from ops.demo.standin.api.errors import Refusal
from ops.demo.standin.api.protocol import ChatRequest
from ops.demo.standin.completion import Completion, Ending, plan
from ops.demo.standin.faults import Control

REPLY = "one two three four five"


def planned(knobs: dict[str, Any] | None = None, **fields: Any) -> Completion:
    """The plan for a short request, with `fields` set in it, under `knobs`."""
    body = {"messages": [{"role": "user", "content": "Hello."}], **fields}
    control = Control(reply=REPLY).with_changes(knobs or {})
    return plan(ChatRequest.model_validate(body), control)


def test_the_reply_is_cut_to_the_limit_and_says_so() -> None:
    cut, exact = planned(max_tokens=2), planned(max_tokens=5)

    assert ("".join(cut.pieces), cut.finish_reason) == ("one two", "length")
    assert ("".join(exact.pieces), exact.finish_reason) == (REPLY, "stop")


def test_max_completion_tokens_goes_before_max_tokens() -> None:
    assert len(planned(max_tokens=4, max_completion_tokens=1).pieces) == 1


def test_the_reply_never_goes_past_the_window() -> None:
    window = planned().prompt_tokens + 3
    clamped = planned({"max_model_len": max(window, 16)}, max_tokens=16, ignore_eos=True)

    assert clamped.prompt_tokens + len(clamped.pieces) == max(window, 16)
    assert clamped.finish_reason == "length"


def test_a_stop_string_ends_the_reply_before_it() -> None:
    assert "".join(planned(stop="three").pieces) == "one two "
    assert "".join(planned(stop=["nine", "two"]).pieces) == "one "
    assert "".join(planned(stop="").pieces) == REPLY


def test_ignore_eos_fills_the_limit() -> None:
    filled = planned(max_tokens=50, ignore_eos=True)

    assert len(filled.pieces) == 50
    assert filled.finish_reason == "length"


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "other"}, 404, "model"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": -1}, 400, "max_tokens"),
        ({"max_completion_tokens": 0}, 400, "max_completion_tokens"),
        ({"max_tokens": 4097}, 400, "max_tokens"),
        ({"messages": [{"role": "user", "content": "word " * 5000}]}, 400, "input_tokens"),
    ],
)
def test_out_of_bounds_is_refused_with_the_parameter(
    fields: dict[str, Any], status: int, param: str
) -> None:
    with pytest.raises(Refusal) as caught:
        planned(**fields)

    assert (caught.value.status_code, caught.value.param) == (status, param)


def test_any_served_name_is_answered_under_that_name() -> None:
    knobs = {"models": ["a", "b"]}

    assert planned(knobs, model="b").model == "b"
    assert planned(knobs).model == "a"


@pytest.mark.parametrize(
    ("roles", "accepted"),
    [
        (["user"], True),
        (["user", "assistant", "user"], True),
        (["system", "user"], False),
        (["user", "user"], False),
        (["assistant"], False),
    ],
)
def test_a_template_can_insist_on_alternating_roles(roles: list[str], accepted: bool) -> None:
    messages = [{"role": role, "content": "a"} for role in roles]

    assert planned(messages=messages).pieces
    if accepted:
        assert planned({"reject_system_role": True}, messages=messages).pieces
    else:
        with pytest.raises(Refusal, match="must alternate"):
            planned({"reject_system_role": True}, messages=messages)


@pytest.mark.parametrize(
    ("knobs", "text", "ending"),
    [
        ({}, REPLY, Ending.FINISH),
        ({"drop_after_tokens": 2}, "one two", Ending.DROP),
        ({"error_after_tokens": 0}, "", Ending.ERROR),
        ({"hang_after_tokens": 99}, REPLY, Ending.SILENCE),
        ({"end_without_finish": True}, REPLY, Ending.BARE),
        ({"empty_reply": True}, "", Ending.FINISH),
    ],
)
def test_faults_decide_where_the_reply_breaks_off(
    knobs: dict[str, Any], text: str, ending: Ending
) -> None:
    completion = planned(knobs)

    assert ("".join(completion.pieces), completion.ending) == (text, ending)


def test_finish_reasons_can_be_forced() -> None:
    assert planned({"finish_reason": "abort"}).finish_reason == "abort"
    assert planned({"content_filter": True}).finish_reason == "content_filter"


def test_content_in_parts_counts_as_its_text() -> None:
    parts = [{"type": "text", "text": "Hello."}]

    assert planned(messages=[{"role": "user", "content": parts}]) == planned()
