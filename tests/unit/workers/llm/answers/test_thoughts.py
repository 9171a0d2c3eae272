"""What a model thinks aloud is told from what it says, wherever the pieces are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.llm.answers.thoughts import CLOSING, OPENING, Split, ThoughtSplitter, join_splits

PAIRS = list(zip(OPENING, (*CLOSING, CLOSING[-1]), strict=True))


def split(text: str, *cuts: int, starts_in_thought: bool = False) -> Split:
    splitter = ThoughtSplitter(starts_in_thought=starts_in_thought)
    places = [0, *sorted(cuts), len(text)]
    found = Split()
    for begin, end in pairwise(places):
        found = join_splits(found, splitter.feed(text[begin:end]))
    return join_splits(found, splitter.end())


@pytest.mark.parametrize(("opening", "closing"), PAIRS)
@given(cuts=st.lists(st.integers(0, 80), max_size=6))
def test_every_pair_of_tags_cut_anywhere(opening: str, closing: str, cuts: list[int]) -> None:
    text = f"{opening}plan <b>{closing}Hi < you."
    found = split(text, *(min(cut, len(text)) for cut in cuts))
    assert (found.text, found.thought, found.takes_back) == ("Hi < you.", "plan <b>", False)


@given(st.text("<>/think|abc[]\n", max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_nothing_is_lost_of_a_text_without_tags(text: str, cuts: list[int]) -> None:
    found = split(text, *(min(cut, len(text)) for cut in cuts))
    if "think>" not in text and "[think]" not in text and "[/think]" not in text:
        assert found == Split(text)


def test_a_missing_first_tag_takes_back_what_came_before() -> None:
    found = split("plan</think>Hi.", 2, 4)
    assert (found.text, found.thought, found.takes_back) == ("Hi.", "plan", True)


def test_a_thought_may_be_assumed() -> None:
    found = split("plan</think>Hi.", 2, 4, starts_in_thought=True)
    assert (found.text, found.thought, found.takes_back) == ("Hi.", "plan", False)
    splitter = ThoughtSplitter(starts_in_thought=True)
    states = []
    for piece in ("Hi.", "</think>"):
        splitter.feed(piece)
        states.append((splitter.is_unconfirmed, splitter.lacks_first_tag))
    assert states == [(True, False), (False, True)]


def test_an_open_thought_lasts_to_the_end() -> None:
    assert split("<think>plan") == Split(thought="plan")


def test_a_quoted_tag_is_text() -> None:
    for text in ("write `</think>` there", 'the tag "<think>" opens it'):
        assert split(text) == Split(text)


def test_a_second_closing_tag_takes_nothing_back() -> None:
    assert split("<think>a</think>Hi</think> you.") == Split("Hi you.", "a")
