"""`docs/events.schema.json` is what the code says: it is generated, and every event follows it."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from common.events import Event
from ops.docs.event_schema import PAGE, PATH, build_schema, render, render_page
from tests.support.event_strategies import events

HEARD: dict[str, Any] = {
    "v": 1,
    "type": "heard",
    "session": "s",
    "epoch": 1,
    "turn": 1,
    "id": "u",
    "at": 1,
    "data": {"spoken_at": 1.0},
}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(build_schema())
    return Draft202012Validator(build_schema())


def test_the_committed_schema_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == render(), (
        "run: .venv/bin/python -m ops.docs.event_schema"
    )


def test_the_tables_of_the_page_are_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == render_page(text), "run: .venv/bin/python -m ops.docs.event_schema"
    for event in get_args(Event):
        for name in event.model_fields["data"].annotation.model_fields:
            assert f"| `{name}` |" in text


@given(events())
def test_what_tail_prints_follows_the_schema(event: Event) -> None:
    validator = Draft202012Validator(build_schema())
    validator.validate(json.loads(event.model_dump_json(exclude_none=True)))


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "gossip"},
        {"turn": "one"},
        {"data": {}},
        {"data": {"spoken_at": 1, "speech_ms": "long"}},
        {"type": "reply"},
        {"type": "skipped", "data": {"reason": "bored"}},
    ],
)
def test_what_is_no_event_does_not(
    changed: dict[str, Any], validator: Draft202012Validator
) -> None:
    assert validator.is_valid(HEARD)
    assert not validator.is_valid(HEARD | changed)


def test_fields_of_a_newer_version_are_allowed(validator: Draft202012Validator) -> None:
    assert validator.is_valid(HEARD | {"hop": 1, "data": {"spoken_at": 1, "mood": "good"}})
