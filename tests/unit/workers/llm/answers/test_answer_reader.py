"""An answer in pieces is read as one in one piece, and no JSON value is a bug."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.llm.answers.answer_reader import AnswerReader, ServerError, read_usage
from workers.llm.answers.thoughts import join_splits


def read(*chunks: Any, cut: int | None = None) -> tuple[str, AnswerReader]:
    data = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode()
    reader = AnswerReader("m")
    parts = [data] if cut is None else [data[:cut], data[cut:]]
    found = reader.feed(parts[0])
    for part in parts[1:]:
        found = join_splits(found, reader.feed(part))
    return join_splits(found, reader.close()).text, reader


def delta(content: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, **more}]}


@given(st.text(max_size=30), st.integers(0, 30), st.integers(0, 400))
def test_a_text_in_two_chunks_and_any_two_reads(text: str, at: int, cut: int) -> None:
    """Surrogate pairs as well: JSON may escape each half of one, in chunks of their own."""
    units = text.encode("utf-16-le", "surrogatepass")
    first, second = (
        units[: 2 * at].decode("utf-16-le", "surrogatepass"),
        units[2 * at :].decode("utf-16-le", "surrogatepass"),
    )
    expected = text.encode("utf-8", "replace").decode().removeprefix("\ufeff")
    if "think" not in text and "reason" not in text:
        assert read(delta(first), delta(second), cut=cut)[0] == expected


@pytest.mark.parametrize(
    ("index", "said"), [([0, 1], "A"), ([1, 0], "B"), ([1, 2], "A"), ([None, None], "A")]
)
def test_the_first_choice_is_the_reply(index: list[Any], said: str) -> None:
    choices = [
        {"index": index[0], "delta": {"content": "A"}, "finish_reason": "stop"},
        {"index": index[1], "delta": {"content": "B"}, "finish_reason": "stop"},
    ]
    text, reader = read({"choices": choices})
    assert (text, reader.reason) == (said, "stop")


def test_what_calls_a_tool_is_named() -> None:
    calls = [{"function": {"name": "light"}}, {"function": {"arguments": "{}"}}, "radio", None]
    _, reader = read({"choices": [{"delta": {"tool_calls": calls}}]})
    assert (reader.calls_tool, reader.tools) == (True, ["light", "radio"])


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": "no"},
        {"error": {"message": None}},
        {"object": "error"},
        {"type": "error", "error": {}},
        {"choices": [{"error": {"code": 502}}]},
        {"detail": ["x"]},
        {"message": "no", "code": 5},
        {"base_resp": {"status_code": 1004}, "choices": None},
    ],
)
def test_an_error_is_found_wherever_it_stands(chunk: Any) -> None:
    with pytest.raises(ServerError):
        read(chunk)


KEYS = [
    "choices",
    "delta",
    "message",
    "content",
    "text",
    "type",
    "index",
    "error",
    "usage",
    "tool_calls",
    "function",
    "name",
    "reasoning",
    "reasoning_content",
    "finish_reason",
    "extra_content",
    "google",
    "thought",
    "model",
    "detail",
    "base_resp",
    "object",
]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3))
def test_no_json_is_a_bug(chunks: list[Any]) -> None:
    try:
        text, reader = read(*chunks)
    except ServerError:
        return
    text.encode()
    assert isinstance(reader.reason, str)


@given(JSON)
def test_no_usage_is_a_bug(usage: Any) -> None:
    counts = read_usage(usage)
    assert counts is None or all(isinstance(count, int) for count in counts.values())
