"""What many makers' errors mean, by their words alone."""

from typing import Any

import pytest

from workers.llm.meanings.error_meanings import Meaning, meaning_of
from workers.llm.meanings.error_report import make_report
from workers.llm.server.parameters import Parameters

FIELDS = Parameters('{"top_k": 3}').names

SAID: dict[Meaning, list[tuple[int, Any]]] = {
    Meaning.WINDOW_FULL: [
        (
            400,
            (
                "Malformed input request: expected maxLength: 42000, actual: 50000, "
                "please reformat your input"
            ),
        ),
        (400, "string too long. Expected a string with maximum length 1048576"),
        (500, "Input prompt is too big compared to KV size. Please try increasing KV size."),
        (500, "failed to find free space in the KV cache"),
        (400, "prompt is 5000 tokens but the context is 4096"),
        (
            400,
            (
                "The message you submitted was too long, please reload the conversation "
                "and submit something shorter."
            ),
        ),
        (400, "Number of tokens in the prompt (9000) exceeds the limit"),
        (
            400,
            (
                "Token indices sequence length is longer than the specified maximum "
                "sequence length for this model (5000 > 4096)"
            ),
        ),
        (400, "Input length of input_ids is 5000, but `max_length` is set to 4096"),
        (
            400,
            (
                "too many tokens: size limit exceeded by 1000 tokens. Try using shorter "
                "or fewer inputs"
            ),
        ),
        (400, "Total tokens exceed the limit"),
        (413, {"type": "request_too_large", "message": "Request exceeds the maximum size"}),
        (400, "模型上下文长度超限"),
        (400, "输入内容过长，请减少输入"),
        (400, "Please shorten your prompt and try again"),
        (400, "prompt tokens too long"),
        (
            400,
            (
                "This model's maximum context length is 2048 tokens. However, your "
                "messages resulted in over 2100 tokens and max_tokens is 512."
            ),
        ),
    ],
    Meaning.REPLY_TOO_LONG: [
        (
            400,
            (
                "max_tokens=300 cannot be greater than "
                "max_model_len=max_total_tokens=256. Please request fewer output tokens."
            ),
        ),
        (400, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
    ],
    Meaning.NO_SYSTEM_ROLE: [
        (400, "'system' role is not supported with this model"),
        (400, "Invalid role: system"),
        (400, "This model only supports user and assistant roles"),
        (400, 'messages: first message must use the "user" role'),
        (400, "Conversation must start with a user message"),
        (
            400,
            {
                "error": {
                    "message": "Invalid value: 'system'. Supported values are: 'user'.",
                    "param": "messages[0].role",
                    "code": "invalid_value",
                }
            },
        ),
    ],
    Meaning.PARAMETER: [
        (400, "invalid temperature: only 1 is allowed for this model"),
        (400, "`temperature` may only be set to 1 when thinking is enabled"),
        (400, "This model does not support the temperature parameter."),
        (400, "Invalid stream_options"),
        (400, 'json: unknown field "stream_options"'),
        (400, "streaming is disabled for this deployment"),
        (400, "stream must be false"),
        (501, "Streaming is not implemented"),
        (400, "top_k and temperature cannot both be specified"),
        (400, "additional properties are prohibited: stream_options"),
    ],
    Meaning.NO_CREDIT: [
        (400, "You have run out of credits"),
        (
            429,
            {
                "error": {
                    "message": "You exceeded your current quota, please check your plan.",
                    "code": "insufficient_quota",
                }
            },
        ),
    ],
    Meaning.BUSY: [
        (429, "Resource has been exhausted (e.g. check quota)."),
        (429, "Tokens per minute limit exceeded - too many tokens processed."),
        (
            429,
            (
                "Requests to the ChatCompletions_Create Operation have exceeded token "
                "rate limit of your current pricing tier. Please retry after 6 seconds."
            ),
        ),
        (503, "model is busy"),
    ],
    Meaning.ABOVE_RATE: [
        (429, "The requested tokens 7000 exceed the per minute limit of 6000"),
    ],
    Meaning.BROKEN: [
        (
            400,
            (
                "The model has crashed without additional information. (Exit code: "
                "18446744072635810000)"
            ),
        ),
        (400, "Model unloaded."),
    ],
    Meaning.UNKNOWN: [
        (500, "EngineCore encountered an issue. See stack trace (above) for the root cause."),
        (500, "internal error"),
        (400, "no such sampling"),
        (500, "out of steam"),
        (422, "messages.1.content: Input should be a valid string"),
        (400, "Invalid JSON body"),
        (500, "CUDA error: out of memory"),
        (500, "The upstream model timed out"),
        (400, "invalid request"),
        (403, "Country, region, or territory not supported"),
        (400, "invalid character 'x' in string literal"),
        (400, "content must not be empty"),
    ],
    Meaning.NO_MODEL: [
        (404, "The model `gpt` does not exist. Valid aliases: a."),
        (400, 'model "x" not found, try pulling it first'),
    ],
}


@pytest.mark.parametrize(
    ("meaning", "status", "said"),
    [(meaning, *row) for meaning, rows in SAID.items() for row in rows],
)
def test_words(meaning: Meaning, status: int, said: Any) -> None:
    body = said if isinstance(said, dict) else {"error": {"message": said}}
    assert meaning_of(make_report(body, status=status), FIELDS) is meaning
