"""Texts are counted once each, by the server where it counts; estimates err on the safe side, and
the usage of replies corrects both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.llm.server.tokens import MAX_COUNTED, TokenCounts


class Server:
    """Counts words; `silent`: it does not tell."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.asked: list[str] = []

    async def count(self, text: str) -> int | None:
        self.asked.append(text)
        return None if self.silent else len(text.split())


async def test_each_text_is_counted_once() -> None:
    server = Server()
    counts = TokenCounts(server.count)
    await counts.learn(["one", "one two", "one"])
    await counts.learn(["one two", "one two three"])
    assert server.asked == ["one", "one two", "one two three"]
    assert [counts.size(text) for text in ("one", "one two", "one two three")] == [1, 2, 3]


async def test_a_server_that_does_not_count_is_asked_for_one_text_only() -> None:
    server = Server(silent=True)
    counts = TokenCounts(server.count)
    await counts.learn(["one", "two", "three"])
    assert server.asked == ["one"]
    assert counts.size("four words in here") > 4  # on the safe side


async def test_what_is_remembered_is_bounded() -> None:
    server = Server()
    counts = TokenCounts(server.count)
    await counts.learn([f"text {number}" for number in range(MAX_COUNTED + 10)])
    await counts.learn(["text 0", f"text {MAX_COUNTED}"])
    assert server.asked[MAX_COUNTED + 10 :] == ["text 0"]


async def test_the_template_is_learned_from_the_usage() -> None:
    """5 tokens a message and 20 in front of all of them: known after two lengths of requests."""
    counts = TokenCounts(Server().count)
    texts = ["be kind", "how are you"]
    await counts.learn([*texts, "fine thank you"])
    counts.correct(texts, 2, 5 + 2 * 5 + 20)
    base, per_message = counts.overhead
    assert base + 2 * per_message == pytest.approx(30)
    texts += ["fine thank you", "how are you"]
    counts.correct(texts, 4, 11 + 4 * 5 + 20)
    assert counts.overhead == pytest.approx((20, 5))


@given(st.floats(0.06, 1.4), st.integers(1, 8))
async def test_the_estimate_comes_down_to_what_the_usage_says(ratio: float, messages: int) -> None:
    counts = TokenCounts(Server(silent=True).count)
    texts = ["word " * 100] * messages
    spoken = len("".join(texts)) * ratio
    for _ in range(40):
        counts.correct(texts, messages, round(spoken + 8 * messages))
    assert counts.size(texts[0]) == pytest.approx(500 * ratio / 0.9, rel=0.05)


async def test_the_estimate_goes_up_at_once() -> None:
    counts = TokenCounts(Server(silent=True).count)
    counts.correct(["x" * 100], 1, 108)
    assert counts.size("x" * 90) == pytest.approx(100)


async def test_usage_that_makes_no_sense_does_no_harm() -> None:
    counts = TokenCounts(Server(silent=True).count)
    for tokens in (0, -5, 10**12):
        counts.correct(["x" * 100], 1, tokens)
    assert 0 < counts.size("x" * 100) <= 200
