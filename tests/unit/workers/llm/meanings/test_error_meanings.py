"""What a server says decides, whatever the status: words of many makers, and of none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.llm.meanings.error_meanings import Meaning, meaning_of, refused_param
from workers.llm.meanings.error_report import MAX_QUOTE, make_report
from workers.llm.meanings.token_numbers import TokenNumbers, numbers_in, numbers_of_rate
from workers.llm.server.parameters import Parameters

OURS = Parameters('{"top_k": 3}').names


def meaning(body: Any, status: int | None = 400) -> Meaning:
    return meaning_of(make_report(body, status=status), OURS)


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (500, "Context size has been exceeded.", Meaning.WINDOW_FULL),
        (400, "the prompt does not fit into the context", Meaning.WINDOW_FULL),
        (400, "Your conversation is too long for this model", Meaning.WINDOW_FULL),
        (
            422,
            "number of input tokens (900) has exceeded max_seq_len (512) limit",
            Meaning.WINDOW_FULL,
        ),
        (
            400,
            "Total tokens of the request exceed the model's maximum context",
            Meaning.WINDOW_FULL,
        ),
        (None, "slot context overflow", Meaning.WINDOW_FULL),
        (500, "model requires more system memory (4.5 GiB) than is available", Meaning.UNKNOWN),
        (500, "CUDA out of memory. Tried to allocate 2.00 GiB", Meaning.UNKNOWN),
        (500, "internal error: the scheduler context was destroyed", Meaning.UNKNOWN),
        (413, "too many tokens per minute: Limit 10, Requested 12", Meaning.ABOVE_RATE),
        (429, "TPM: Limit 10, Used 9, Requested 5. Please try again in 2s", Meaning.BUSY),
        (503, "Loading model", Meaning.BUSY),
        (400, "Too many concurrent requests", Meaning.UNKNOWN),
        (400, "concurrent request limit reached", Meaning.BUSY),
        (400, "The model was loaded with an adapter that does not exist", Meaning.NO_MODEL),
        (400, "System messages are not supported by this template", Meaning.NO_SYSTEM_ROLE),
        (400, "Conversation roles must alternate", Meaning.NO_SYSTEM_ROLE),
        (
            400,
            "unknown field `stream_options`, expected one of `model`, `messages`",
            Meaning.PARAMETER,
        ),
        (400, "temperature must be between 0 and 1, it is 1.5: out of range", Meaning.PARAMETER),
        (400, "Parameter top_k is not supported", Meaning.PARAMETER),
        (400, "frequency_penalty is not supported", Meaning.UNKNOWN),
        (
            400,
            "max_tokens must be less than or equal to 100, is not supported",
            Meaning.REPLY_TOO_LONG,
        ),
        (403, "blocked by our usage rules: violates the policy on violence", Meaning.FILTERED),
        (403, "only for members", Meaning.UNKNOWN),
        (403, "Your API key is invalid", Meaning.WRONG_KEY),
        (402, "pay first", Meaning.NO_CREDIT),
        (200, "Unexpected endpoint or method. (POST /chat/completions)", Meaning.WRONG_PATH),
        (400, "Client sent an HTTP request to an HTTPS server.", Meaning.WANTS_TLS),
    ],
)
def test_words(status: int | None, words: str, expected: Meaning) -> None:
    shapes: list[Any] = [
        words,
        {"error": words},
        {"error": {"message": words}},
        [{"error": {"message": [words], "code": None, "type": {"a": []}}}],
        {"message": {"detail": [{"loc": ["body", 3], "msg": words}]}},
        {"error": {"message": "Provider returned error", "metadata": {"raw": {"e": words}}}},
    ]
    assert {meaning(shape, status) for shape in shapes} == {expected}


def test_what_a_server_repeats_of_the_request_means_nothing() -> None:
    asked = "my context window is too long, and my API key invalid"
    detail = [{"loc": ["body", "x"], "msg": "odd", "input": {"messages": [{"content": asked}]}}]
    assert meaning({"detail": detail}) is Meaning.UNKNOWN


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("'max_tokens' is not supported, use 'max_completion_tokens'", "max_tokens"),
        ("streaming is not supported", "stream"),
        ("stream_options is unknown", "stream_options"),
        ("Extra inputs are not permitted", ""),
    ],
)
def test_which_field_is_refused(words: str, name: str) -> None:
    assert refused_param(make_report({"message": words}, status=400), OURS) == name


NUMBERS: list[tuple[str, TokenNumbers]] = [
    ("(n_keep: 13055>= n_ctx: 4096)", TokenNumbers(4096, None, 13055)),
    ("loaded with context length of only 4096 tokens", TokenNumbers(4096)),
    (
        "request (6009 tokens) exceeds the available context size (4096 tokens)",
        TokenNumbers(4096, None, 6009),
    ),
    ("exceeded max context length by 123 tokens", TokenNumbers()),
    ("invalid params, context window exceeds limit (2013)", TokenNumbers()),
    ("the context length is 1.5 million", TokenNumbers()),
    ("context size 8 GiB", TokenNumbers()),
    ("context length: 3", TokenNumbers()),
    (
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens",
        TokenNumbers(4096, None, 4000),
    ),
    ("`inputs` must have less than 3072 tokens. Given: 4000", TokenNumbers(None, 3072, 4000)),
    (
        "input length and `max_tokens` exceed context limit: 199900 + 256 > 200000",
        TokenNumbers(200000, None, 199900),
    ),
    ("prompt is too long: 213462 tokens > 200000 maximum", TokenNumbers(None, 200000, 213462)),
    (
        "maximum prompt length is 131072 but the request contains 537812 tokens",
        TokenNumbers(None, 131072, 537812),
    ),
    ("too large for model with 32768 maximum context length", TokenNumbers(32768)),
    ("messages cannot exceed 20 items", TokenNumbers()),
    ("requires more system memory (4.5 GiB) than is available", TokenNumbers()),
]


@pytest.mark.parametrize(("words", "expected"), NUMBERS, ids=[words[:40] for words, _ in NUMBERS])
def test_a_number_is_the_window_only_where_the_sentence_says_so(
    words: str, expected: TokenNumbers
) -> None:
    assert numbers_in(words) == expected


def test_the_numbers_of_a_rate_count_the_reply_in() -> None:
    numbers = numbers_of_rate("(TPM): Limit 6000, Requested 6294, please", reply=100)
    assert (numbers.window, numbers.limit(100), numbers.prompt) == (None, 5900, 6194)


def test_a_quotation_is_short_and_on_one_line_and_without_the_key() -> None:
    report = make_report(
        {"error": {"message": "bad\nkey s3cret\x1b[31m\u202e" + "x" * 999}}, api_key="s3cret"
    )
    assert report.said.startswith("bad key *** [31m xxx")
    assert len(report.said) == MAX_QUOTE + 1
    assert "s3cret" not in report.words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "detail", "loc", "code", "param", "type", "metadata", "raw"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(JSON, st.none() | st.integers(400, 599))
def test_no_error_of_any_shape_is_a_bug(body: Any, status: int | None) -> None:
    report = make_report(body, status=status)
    assert isinstance(meaning_of(report, OURS), Meaning)
    assert "\n" not in report.said


def test_an_error_as_deep_as_the_sea() -> None:
    body: Any = "context length exceeded"
    for _ in range(500):
        body = {"error": [body]}
    assert meaning(body) in Meaning
