"""Ids of stream entries sort as their stream does, and tell when an entry was added."""

import pytest

from common.entry_id import OLDEST, added_at_ms, first_since, is_entry_id, sort_key


def test_ids_sort_as_numbers_and_not_as_texts() -> None:
    ids = ["1700000000000-10", "1700000000000-9", "999-0", OLDEST, "1700000000001-0"]
    assert sorted(ids, key=sort_key) == [
        OLDEST,
        "999-0",
        "1700000000000-9",
        "1700000000000-10",
        "1700000000001-0",
    ]
    assert sort_key("1700000000000") == sort_key("1700000000000-0")


@pytest.mark.parametrize("entry", ["1700000000000-3", b"1700000000000-3"])
def test_an_id_tells_when_its_entry_was_added(entry: str | bytes) -> None:
    assert added_at_ms(entry) == 1_700_000_000_000


def test_reading_from_a_moment_on_misses_nothing_that_came_later() -> None:
    assert sort_key(first_since(1_700_000_000_000.4)) <= sort_key("1700000000001-0")
    assert first_since(-5) == OLDEST


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1-0", True),
        ("1700000000000", True),
        ("", False),
        ("$", False),
        ("1-", False),
        ("-1", False),
        ("1-0\n", False),
        ("1" * 20, False),
        ("\N{ARABIC-INDIC DIGIT ONE}-0", False),
    ],
)
def test_what_is_no_id_is_told_from_one(text: str, right: bool) -> None:
    assert is_entry_id(text) is right
