"""What is wrong with something is told by its field and its kind, and not by what it holds: that
may be what somebody said."""

from typing import Any, Final

import pytest
from pydantic import BaseModel, ValidationError

from common.errors import BadEntry
from common.events import parse_event
from common.utterance import Utterance
from common.validation import check_version, explain

SECRET: Final = "my pin is 4711"
EVENT: Final = {
    "v": "1",
    "type": "transcript",
    "session": "s",
    "epoch": "1",
    "turn": "1",
    "id": "u",
}


class Numbered(BaseModel):
    number: int


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (SECRET, "a text of 14 characters"),
        ([SECRET, SECRET], "a list of 2"),
        ({SECRET: 1}, "a dict of 1"),
        (4711.5, "a number"),
        (None, "None"),
        (SECRET.encode(), "a bytes of 14"),
        (object(), "a object"),
    ],
)
def test_a_value_is_described_by_its_kind(value: Any, kind: str) -> None:
    with pytest.raises(ValidationError) as error:
        Numbered.model_validate({"number": value})
    why = explain(error.value)
    assert why.startswith("field number is not usable: ")
    assert why.endswith(f"(it is {kind})")
    assert "4711" not in why
    assert "4711" in explain(error.value, shows_value=True) or value is None or kind == "a object"


@pytest.mark.parametrize(
    "changes",
    [
        {"data": f'{{"text": ["{SECRET}"]}}'},
        {"data": f'{{"text": {{"{SECRET}": 1}}}}'},
        {"data": f'"{SECRET}"'},
        {"data": SECRET},
        {"data": f'{{"text": "{SECRET}", "segments": "{SECRET}"}}'},
        {"at": SECRET},
        {"turn": SECRET},
        {"type": SECRET},
        {"v": SECRET},
    ],
)
def test_a_bad_event_is_refused_without_its_words(changes: dict[str, str]) -> None:
    fields = EVENT | {"at": "1", "data": "{}"} | changes
    with pytest.raises(BadEntry) as error:
        parse_event({name.encode(): value.encode() for name, value in fields.items()})
    assert "4711" not in str(error.value)


@pytest.mark.parametrize("field", ["session", "id", "rate", "samples", "language", "codec", "v"])
def test_a_bad_entry_is_refused_without_its_words(field: str) -> None:
    good = Utterance(id="u", session="s", text="hi").to_fields()
    fields = {
        str(name).encode(): str(value).encode()
        for name, value in zip(good[::2], good[1::2], strict=True)
    }
    fields |= {b"audio": b"", b"turn": b"1"}
    Utterance.from_fields(fields, max_audio=1)
    with pytest.raises(BadEntry) as error:
        Utterance.from_fields({**fields, field.encode(): SECRET.encode()}, max_audio=1)
    assert "4711" not in str(error.value)


def test_a_version_is_told_if_it_is_a_number() -> None:
    for version, shown in (("1.5", "'1.5'"), (SECRET, "that is no number")):
        with pytest.raises(BadEntry, match=shown):
            check_version("the entry", version, 1)
