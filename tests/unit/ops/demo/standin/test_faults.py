"""The knobs refuse nonsense, and what was asked for a number of times ends after it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ops.demo.standin.faults import REPLY_FAULTS, Control


@pytest.mark.parametrize(
    "patch",
    [
        {"typo": True},
        {"first_token_ms": -1},
        {"tokens_per_s": 0},
        {"max_model_len": 0},
        {"models": []},
        {"fail": {"status": 200}},
        {"fail": {"status": 503, "count": 0}},
        {"drop_after_tokens": -1},
    ],
)
def test_nonsense_is_refused(patch: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Control().with_changes(patch)


def test_a_change_leaves_the_other_knobs() -> None:
    control = Control().with_changes({"hang": True}).with_changes({"first_token_ms": 5})

    assert control.hang
    assert control.first_token_ms == 5
    assert control.tokens_per_s == Control().tokens_per_s


def test_the_key_survives_a_change_and_is_never_shown() -> None:
    control = Control().with_changes({"api_key": "secret"}).with_changes({"hang": True})

    assert control.api_key is not None
    assert control.api_key.get_secret_value() == "secret"
    assert "secret" not in control.model_dump_json() + repr(control)


def test_a_counted_failure_is_used_up_and_an_uncounted_one_is_not() -> None:
    counted = Control().with_changes({"fail": {"status": 503, "count": 2}})
    uncounted = Control().with_changes({"fail": {"status": 503}})

    assert counted.after_refusal().fail is not None
    assert counted.after_refusal().after_refusal().fail is None
    assert uncounted.after_refusal().fail == uncounted.fail


@pytest.mark.parametrize("name", REPLY_FAULTS)
def test_every_reply_fault_is_noticed_and_ends_with_its_count(name: str) -> None:
    value: object = "abort" if name == "finish_reason" else True
    if name.endswith("_after_tokens"):
        value = 0
    control = Control().with_changes({name: value, "fault_count": 2, "tokens_per_s": 7})

    once = control.after_reply()
    twice = once.after_reply()

    assert control.has_reply_fault
    assert once.has_reply_fault
    assert not twice.has_reply_fault
    assert twice == Control().with_changes({"tokens_per_s": 7})


def test_without_a_count_faults_stay_and_a_count_waits_for_a_fault() -> None:
    staying = Control().with_changes({"hang": True})
    waiting = Control().with_changes({"fault_count": 1})

    assert staying.after_reply() == staying
    assert waiting.after_reply() == waiting
