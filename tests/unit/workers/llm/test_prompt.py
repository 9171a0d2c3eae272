"""A request holds the system prompt, whole earlier rounds, and all that was said since."""

from hypothesis import given
from hypothesis import strategies as st

from common.transitions.answering import Message
from workers.llm.prompt import (
    Prompt,
    Round,
    join_texts,
    newest_rounds,
    newest_that_fit,
    round_messages,
)

TEXTS = st.text(min_size=1, max_size=40)
ROUNDS = st.lists(st.builds(Round, TEXTS, TEXTS), max_size=8).map(tuple)


def as_history(rounds: tuple[Round, ...]) -> list[Message]:
    return [message for one in rounds for message in round_messages(one.question, one.answer)]


def characters(messages: list[Message]) -> int:
    return sum(len(message["content"]) for message in messages)


def test_turns_answered_together_are_lines_of_one_question() -> None:
    assert join_texts([" turn on the light ", "", "and the radio"]) == (
        "turn on the light\nand the radio"
    )


def test_messages_in_order() -> None:
    prompt = Prompt("Be kind.", (Round("hi", "hello"),), "how are you")
    assert prompt.messages() == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "how are you"},
    ]


def test_without_a_system_role_the_first_question_opens_with_the_prompt() -> None:
    prompt = Prompt("Be kind.", (Round("hi", "hello"),), "how are you")
    assert prompt.messages(system_role=False) == [
        {"role": "user", "content": "Be kind.\n\nhi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "how are you"},
    ]
    assert Prompt("Be kind.", (), "hi").messages(system_role=False) == [
        {"role": "user", "content": "Be kind.\n\nhi"}
    ]


def test_an_empty_system_prompt_is_no_message() -> None:
    assert Prompt("", (), "hi").messages() == [{"role": "user", "content": "hi"}]
    assert Prompt("", (), "hi").messages(system_role=False) == [{"role": "user", "content": "hi"}]


@given(ROUNDS, TEXTS, st.booleans())
def test_user_and_assistant_alternate(
    rounds: tuple[Round, ...], question: str, system_role: bool
) -> None:
    messages = Prompt("Be kind.", rounds, question).messages(system_role=system_role)
    talk = [message["role"] for message in messages if message["role"] != "system"]
    assert talk == ["user", "assistant"] * len(rounds) + ["user"]


@given(ROUNDS, st.integers(0, 10))
def test_the_newest_rounds_are_kept(rounds: tuple[Round, ...], limit: int) -> None:
    assert newest_rounds(as_history(rounds), limit) == (rounds[-limit:] if limit else ())


@given(ROUNDS, st.integers(0, 3))
def test_never_half_a_round(rounds: tuple[Round, ...], cut: int) -> None:
    """Whatever was cut off a history: an answer without its question is not shown."""
    history = as_history(rounds)[cut:]
    assert newest_rounds(history, 100) == rounds[(cut + 1) // 2 :]


def test_two_questions_in_a_row_are_no_round() -> None:
    history: list[Message] = [
        {"role": "user", "content": "one"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "2"},
        {"role": "assistant", "content": "more"},
    ]
    assert newest_rounds(history, 5) == (Round("two", "2"),)


def test_no_answer_leaves_no_trace_in_the_history() -> None:
    assert round_messages("hello?", "") == []


@given(ROUNDS, st.integers(-5, 400))
def test_as_many_rounds_as_fit(rounds: tuple[Round, ...], budget: int) -> None:
    def size(one: Round) -> int:
        return len(one.question) + len(one.answer)

    kept = newest_that_fit(rounds, budget, size)
    assert kept == rounds[len(rounds) - len(kept) :]
    assert not kept or sum(map(size, kept)) <= budget
    if len(kept) < len(rounds):
        assert sum(map(size, rounds[-len(kept) - 1 :])) > budget


@given(ROUNDS, TEXTS, st.integers(10, 200), st.integers(1, 400), st.integers(0, 100))
def test_a_prompt_that_was_too_long_gets_shorter(
    rounds: tuple[Round, ...], question: str, window: int, prompt_tokens: int, reserve: int
) -> None:
    prompt = Prompt("Be kind.", rounds, question)
    shorter = prompt.shrink(window=window, prompt_tokens=prompt_tokens, reserve=reserve)
    assert shorter.question == question
    assert shorter.system == prompt.system
    assert shorter.rounds == rounds[len(rounds) - len(shorter.rounds) :]
    assert not rounds or len(shorter.rounds) < len(rounds)
    if shorter.rounds:
        tokens_a_character = prompt_tokens / characters(prompt.messages())
        assert characters(shorter.messages()) * tokens_a_character <= window - reserve


def test_shrinking_keeps_what_fits() -> None:
    rounds = tuple(Round("q" * 50, "a" * 50) for _ in range(8))
    prompt = Prompt("", rounds, "q" * 200)  # 1000 characters
    shorter = prompt.shrink(window=800, prompt_tokens=1000, reserve=100)
    assert len(shorter.rounds) == 4  # 700 tokens, of which 90 % are planned with: 630 characters


def test_shrinking_without_the_servers_counts_drops_the_history() -> None:
    prompt = Prompt("Be kind.", (Round("hi", "hello"),), "how are you")
    assert prompt.shrink(window=None, prompt_tokens=9, reserve=1).rounds == ()
    assert prompt.shrink(window=9, prompt_tokens=None, reserve=1).rounds == ()
