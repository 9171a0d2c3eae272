"""Word pieces give back the text that they were cut from, and equal pieces have equal ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ops.demo.standin.api.tokens import MAX_PIECE_CHARS, VOCABULARY, chat_prompt, pieces, token_ids


@given(st.text())
def test_joined_pieces_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


@given(st.text())
def test_there_is_one_id_below_the_vocabulary_for_each_piece(text: str) -> None:
    ids = token_ids(text)

    assert len(ids) == len(pieces(text))
    assert all(0 <= token < VOCABULARY for token in ids)


def test_a_word_takes_its_space_with_it_and_long_ones_are_split() -> None:
    assert pieces("Hello, my world!") == ["Hello", ",", " my", " world", "!"]
    assert [len(piece) for piece in pieces("a" * 25)] == [MAX_PIECE_CHARS, MAX_PIECE_CHARS, 5]


def test_equal_pieces_have_equal_ids() -> None:
    once, again, other = token_ids(" yes yes no")

    assert once == again != other


def test_a_prompt_counts_the_markers_of_each_turn_as_one_token() -> None:
    empty = pieces(chat_prompt([]))
    one = pieces(chat_prompt([("user", "Hello.")]))

    assert len(empty) == 2
    assert len(one) == len(empty) + 2 + len(pieces("Hello."))
