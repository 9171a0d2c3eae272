"""Parameters that a server refuses: found out by its refusal, once."""

from typing import Any, Final

from tests.contract.answers.shape import SAID, Shape, refusal, stream, whole

_UNSUPPORTED = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."

# name, the field that is refused, status, body, and what the last request must hold (None: not)
_REFUSED: Final[list[tuple[str, str, int, Any, dict[str, Any]]]] = [
    ("OpenAI", "max_tokens", 400, {"error": {"message": _UNSUPPORTED, "param": "max_tokens", "code": "unsupported_parameter"}}, {"max_tokens": None, "max_completion_tokens": 64}),
    ("words alone", "max_tokens", 400, {"error": {"message": _UNSUPPORTED}}, {"max_tokens": None, "max_completion_tokens": 64}),
    ("Azure", "max_tokens", 400, {"error": {"message": "Unrecognized request argument supplied: max_tokens", "param": None, "code": None}}, {"max_tokens": None}),
    ("max_tokens, pydantic", "max_tokens", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_tokens"], "msg": "Extra inputs are not permitted", "input": 64}]}, {"max_tokens": None}),
    (
        "OpenAI's temperature",
        "temperature",
        400,
        {"error": {"message": "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.", "param": "temperature", "code": "unsupported_value"}},
        {"temperature": None},
    ),
    ("temperature, deprecated", "temperature", 400, {"error": {"message": "`temperature` is deprecated for this model."}}, {"temperature": None}),
    (
        "temperature, Bedrock",
        "temperature",
        400,
        {"message": "Malformed input request: extraneous key [temperature] is not permitted, please reformat your input and try again."},
        {"temperature": None},
    ),
    ("temperature, out of range", "temperature", 400, {"error": {"message": "temperature: range: 0..0.5", "param": "temperature"}}, {"temperature": None}),
    ("Mistral", "stream_options", 422, {"message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}}, {"stream_options": None}),
    ("Azure's stream_options", "stream_options", 400, {"error": {"message": "Unrecognized request argument supplied: stream_options"}}, {"stream_options": None}),
    (
        "Gemini",
        "stream_options",
        400,
        [{"error": {"code": 400, "message": 'Invalid JSON payload received. Unknown name "stream_options": Cannot find field.', "status": "INVALID_ARGUMENT"}}],
        {"stream_options": None},
    ),
    ("JSON schema", "stream_options", 400, {"error": {"message": "Additional properties are not allowed ('stream_options' was unexpected)"}}, {"stream_options": None}),
    ("a Python server", "stream_options", 500, {"error": "chat() got an unexpected keyword argument 'stream_options'"}, {"stream_options": None}),
    ("Azure's models", "stream_options", 400, {"error": {"message": "Validation error at #/stream_options: Extra inputs are not permitted"}}, {"stream_options": None}),
    ("no name", "stream_options", 422, {"detail": "Extra inputs are not permitted"}, {"stream_options": None}),
    ("in the stream", "stream_options", 200, {"error": {"message": "Unknown parameter: 'stream_options'.", "param": "stream_options"}}, {"stream_options": None}),
    ("a text", "stream_options", 400, "unsupported field: stream_options", {"stream_options": None}),
]

PARAMETERS: Final = [
    *(Shape(f"{name}: {param} refused", [refusal(status, body, to={"param": param})], SAID, sent=sent, tries=3) for name, param, status, body, sent in _REFUSED),
    Shape(
        "three at once",
        [
            refusal(400, {"error": {"message": _UNSUPPORTED, "param": "max_tokens"}}, to={"param": "max_tokens"}),
            refusal(400, {"error": {"message": "Unsupported value: 'temperature' does not support 0.7 with this model."}}, to={"param": "temperature"}),
            refusal(400, {"error": {"message": "Unknown parameter: 'stream_options'."}}, to={"param": "stream_options"}),
        ],
        SAID,
        sent={"max_tokens": None, "temperature": None, "stream_options": None, "stream": True},
    ),
    Shape(
        "both names of the limit",
        [
            refusal(400, {"error": {"message": "Unknown field: max_tokens"}}, to={"param": "max_tokens"}),
            refusal(400, {"error": {"message": "Unknown field: max_completion_tokens"}}, to={"param": "max_completion_tokens"}),
        ],
        SAID,
        sent={"max_tokens": None, "max_completion_tokens": None},
    ),
    Shape(
        "no streams at all", [refusal(400, {"error": {"message": "Streaming is not supported for this model."}}, to={"param": "stream_options"})], SAID, sent={"stream": False, "stream_options": None}
    ),
    Shape(
        "an organization that may not stream",
        [refusal(400, {"error": {"message": "Your organization must be verified to stream this model.", "param": "stream", "code": "unsupported_value"}}, to={"param": "stream_options"})],
        SAID,
        sent={"stream": False},
    ),
    Shape(
        "too many tokens for a reply",
        [refusal(400, {"error": {"message": "max_tokens is too large: 64. This model supports at most 50 completion tokens.", "param": "max_tokens"}}, to={"max_tokens_above": 50})],
        SAID,
        sent={"max_tokens": 50},
    ),
    Shape(
        "fields of one's own",
        [whole({"content": "As you like."}, to={"param": "chat_template_kwargs"})],
        "As you like.",
        settings={"extra_body": {"chat_template_kwargs": {"enable_thinking": False}, "top_k": 3}},
        sent={"chat_template_kwargs": {"enable_thinking": False}, "top_k": 3},
    ),
    Shape("fields of one's own instead of earshot's", [], SAID, settings={"extra_body": {"temperature": 0.1, "stream_options": None}}, sent={"temperature": 0.1, "stream_options": None}),
    Shape(
        "a field of one's own that is refused",
        [stream({"error": {"message": "Unknown parameter: 'chat_template_kwargs'.", "param": "chat_template_kwargs"}}, to={"param": "chat_template_kwargs"})],
        waits=["EARSHOT_LLM__EXTRA_BODY", "chat_template_kwargs"],
        settings={"extra_body": {"chat_template_kwargs": {}}},
    ),
]
