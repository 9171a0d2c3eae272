"""Events are parsed once, at the boundary: every good one comes through whole, every bad one is
refused with a sentence, and one with new fields is still read."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.errors import BadEntry
from common.events import (
    EVENTS,
    Event,
    parse_event,
)
from tests.support.event_strategies import datas, events, texts


def as_entry(event: Event, *, more: dict[str, Any] | None = None) -> dict[bytes, bytes]:
    """As the scripts write it: every field a text, `data` JSON, what is not set left out."""
    fields = event.model_dump(exclude_none=True)
    fields["data"] = json.dumps(fields["data"] | (more or {}))
    return {name.encode(): str(value).encode() for name, value in fields.items()}


def _heard() -> dict[bytes, bytes]:
    return {
        b"v": b"1",
        b"type": b"heard",
        b"session": b"s",
        b"epoch": b"1",
        b"turn": b"1",
        b"id": b"u",
        b"at": b"1",
        b"data": b'{"spoken_at": 1}',
    }


def test_every_type_of_event_is_tried_here() -> None:
    kinds = EVENTS.json_schema()["discriminator"]["mapping"]
    assert set(datas) == set(kinds)


@given(events())
def test_an_event_comes_out_of_its_entry_as_it_went_in(event: Event) -> None:
    assert parse_event(as_entry(event)) == event


@given(events())
def test_a_line_of_json_is_the_same_event(event: Event) -> None:
    assert EVENTS.validate_json(event.model_dump_json(exclude_none=True)) == event


@given(events(), st.dictionaries(st.text("xyz", min_size=1), texts, max_size=3))
def test_fields_of_a_newer_version_are_no_obstacle(event: Event, more: dict[str, str]) -> None:
    entry = as_entry(event, more=more) | {b"hop": b"\x00"}
    assert parse_event(entry) == event


@given(events())
def test_events_are_frozen(event: Event) -> None:
    with pytest.raises(ValidationError):
        setattr(event, "turn", 5)  # noqa: B010  # mypy knows better


@pytest.mark.parametrize("name", sorted(_heard()))
def test_no_field_may_be_missing(name: bytes) -> None:
    entry = _heard()
    parse_event(entry)
    del entry[name]
    with pytest.raises(BadEntry, match=r"^the event's field .* is not usable: "):
        parse_event(entry)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"type", b"gossip"),
        (b"type", b""),
        (b"turn", b"one"),
        (b"turn", b"1.5"),
        (b"turn", b"9" * 5_000),
        (b"at", b"yesterday"),
        (b"epoch", b""),
        (b"session", b"\xff\xfe"),
        (b"data", b""),
        (b"data", b"{"),
        (b"data", b"[]"),
        (b"data", b"null"),
        (b"data", b'"text"'),
        (b"data", b"{}"),
        (b"data", b'{"spoken_at": "soon"}'),
        (b"data", b'{"spoken_at": 1, "source": {}}'),
        (b"data", b"[" * 100_000),
        (b"data", b'{"a":' * 100_000),
        (b"\xff", b"x"),
    ],
)
def test_a_bad_event_is_refused_with_a_sentence(name: bytes, value: bytes) -> None:
    with pytest.raises(BadEntry) as refused:
        parse_event(_heard() | {name: value})
    assert str(refused.value).startswith("the event")
    assert len(str(refused.value)) < 400


@given(
    st.dictionaries(
        st.sampled_from(sorted(_heard())) | st.binary(max_size=10), st.binary(max_size=60)
    )
)
def test_whatever_bytes_come_only_bad_entry_is_raised(entry: dict[bytes, bytes]) -> None:
    for fields in (entry, _heard() | entry):
        with suppress(BadEntry):
            assert isinstance(parse_event(fields), Event)
