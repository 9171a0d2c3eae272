"""Whatever a file is called, its name in a sentence is UTF-8, and its name in a record is exact."""

import json
import os

import pytest
from pydantic import BaseModel, ValidationError

from common.errors import BadInput, to_printable
from ops.jobs.files.file_name import FileName


class Record(BaseModel):
    name: FileName


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"talk.mp3", "talk.mp3"),
        ("Gespräch \N{SMILE}.mp3".encode(), "Gespräch \N{SMILE}.mp3"),
        (b"gr\xfc\xdfe\x80", r"gr\xfc\xdfe\x80"),
        (b"cut \xf0\x9f\x98", r"cut \xf0\x9f\x98"),
    ],
)
def test_a_name_is_shown_with_escapes_and_kept_as_it_is(name: bytes, shown: str) -> None:
    text = os.fsdecode(name)
    assert to_printable(text) == shown
    assert str(BadInput(f"there is no file {text}")) == f"there is no file {shown}"
    kept = json.loads(json.dumps(Record(name=text).model_dump()))
    assert os.fsencode(Record.model_validate(kept).name) == name


def test_half_of_a_surrogate_pair_that_is_no_byte_is_a_question_mark() -> None:
    assert to_printable("a\ud83d \udc7f \udd00") == "a? ? ?"


@pytest.mark.parametrize("name", ["", "a\0b", "a\ud83d", 3, None, b"a"])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(ValidationError):
        Record.model_validate({"name": name})
