"""The outbox remembers the draft that a killed process may have left in Redis."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import BadInput
from producer.shipping.outbox import Outbox
from tests.support.outboxes import add


def test_the_draft_of_a_process_before_was_left_open(
    reopen: Callable[..., Outbox], outbox: Outbox
) -> None:
    assert outbox.unfinished_draft() == ""
    outbox.note_draft("a")
    outbox.note_draft("b")
    assert outbox.unfinished_draft() == "", "it is our own"
    outbox = reopen()
    assert outbox.unfinished_draft() == "b"
    assert reopen().unfinished_draft() == "b", "whoever starts may be killed before it has ended it"
    outbox = reopen()
    outbox.forget_draft()
    outbox.forget_draft()
    assert reopen().unfinished_draft() == ""


def test_what_lies_in_the_outbox_was_not_left_open(
    reopen: Callable[..., Outbox], outbox: Outbox
) -> None:
    outbox.note_draft("a")
    add(outbox, "a")
    assert reopen().unfinished_draft() == ""
    outbox = reopen()
    outbox.rename(1, "b")
    assert reopen().unfinished_draft() == "a", "what its turn was holds nothing any more"


def test_a_damaged_row_hides_no_draft(
    reopen: Callable[..., Outbox], outbox: Outbox, tmp_path: Path
) -> None:
    outbox.note_draft("a")
    add(outbox, "b")
    with sqlite3.connect(tmp_path / "s1.sqlite3") as db:
        db.execute("UPDATE waiting SET meta = 'no JSON'")
    db.close()
    assert reopen().unfinished_draft() == "a"


@pytest.mark.parametrize("content", [b"", bytes(32), b"\xff\xfe", b"a\n", b"a b"])
def test_a_note_that_was_torn_names_no_draft(
    content: bytes, reopen: Callable[..., Outbox], outbox: Outbox, tmp_path: Path
) -> None:
    outbox.note_draft("a")
    (tmp_path / "s1.draft").write_bytes(content)
    assert reopen().unfinished_draft() == ""


def test_a_note_that_cannot_be_made_is_one_sentence(outbox: Outbox, tmp_path: Path) -> None:
    (tmp_path / "s1.draft").mkdir()
    with pytest.raises(BadInput, match=r"the outbox in .* cannot be used: "):
        outbox.note_draft("a")
