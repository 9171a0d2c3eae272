"""The OpenAI-compatible server, and the requests to it."""

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr

from common.settings.sections.fields import Count, HostPath, Seconds, Section

Rounds = Annotated[int, Field(ge=0, le=1_000)]
TokensPerWord = Annotated[float, Field(gt=0, le=1_000)]
Temperature = Annotated[float, Field(ge=0, le=2)]


def _as_json_object(value: Any) -> str:
    """Return the text of a JSON object; raises ValueError for anything else."""
    if isinstance(value, str):
        if not value.strip():
            return ""
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError('it is no JSON object, such as {"top_k": 20}') from None
    if not isinstance(value, dict):
        raise ValueError('it is no JSON object, such as {"top_k": 20}')
    return json.dumps(value)


JsonObject = Annotated[str, BeforeValidator(_as_json_object)]
"""A JSON object as text, for the environment; in a TOML file it may be a table."""


class LlmSettings(Section):
    """The OpenAI-compatible server, and the requests to it."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] = Field(
        "http://127.0.0.1:8000/v1",
        description="Address of the OpenAI-compatible server. The default is vLLM on this machine.",
    )
    model: str = Field(
        "",
        description="Served name of the model. Empty: the only model that the server lists.",
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="Sent to the server as a bearer token, if set.",
    )
    ca_file: HostPath = Field(
        "",
        description="File with the CA certificate of a server with TLS (PEM), beside the"
        " certificates of the system.",
    )
    extra_body: JsonObject = Field(
        "",
        description="JSON object with further fields of every request, such as"
        ' {"chat_template_kwargs": {"enable_thinking": false}}. They replace those of'
        " earshot; null leaves a field out.",
    )
    persona: Annotated[HostPath, Field(min_length=1)] = Field(
        "assistant",
        description="Who answers if neither the session nor the producer chose: a name, or a file"
        " that ends in .toml. Bundled are assistant, customer-support, fitness-coach"
        " and tour-guide (docs/conversation.md).",
    )
    personas: HostPath = Field(
        "",
        description="Folder with more personas, one NAME.toml each. They replace bundled ones of"
        " the same name.",
    )
    system_prompt: str = Field(
        "",
        description="Opens every request, instead of the default persona's own prompt.",
    )
    system_role: Literal["auto", "system", "first_user"] = Field(
        "auto",
        description="Where the system prompt goes: system (a message of its own) or first_user"
        " (before the first question, for models that refuse that role). auto: system,"
        " until the server refuses it.",
    )
    context_tokens: Annotated[int, Field(ge=0, le=10**12)] = Field(
        0,
        description="Most tokens of prompt and reply together; older rounds that do not fit are"
        " left out. 0: the window that the server states (max_model_len). A smaller"
        " value makes first tokens come sooner.",
    )
    rounds: Rounds = Field(
        5,
        description="How many earlier questions, with their answers, the model is shown.",
    )
    tokens_per_word: TokensPerWord = Field(
        5,
        description="Sets the length of a reply by the words of the question: max_tokens ="
        " clamp(tokens_per_word x words, min_tokens, max_tokens).",
    )
    min_tokens: Count = Field(
        64,
        description="Lower limit for tokens_per_word, in tokens: enough to answer a short"
        " question.",
    )
    max_tokens: Count = Field(
        256,
        description="Upper limit for tokens_per_word, in tokens: about a minute when read aloud.",
    )
    temperature: Temperature = Field(
        0.7,
        description="Sampling temperature.",
    )
    keep_reasoning: bool = Field(
        False,
        description="Keep what a reasoning model thought, in the field reasoning of the reply"
        " event. It is never a part of the reply.",
    )
    concurrency: Count = Field(
        64,
        description="Sessions that one process answers at once. vLLM works on them in one batch.",
    )
    max_merge: Count = Field(
        4,
        description="Most turns that are answered as one, if they wait together.",
    )
    max_answer_age_s: Annotated[float, Field(ge=0, le=1e9)] = Field(
        0,
        description="Turns older than this many seconds are skipped as expired. 0: never.",
    )
    delta_interval_ms: Annotated[int, Field(ge=0, le=60_000)] = Field(
        150,
        description="Pieces of a reply are gathered for this many ms before they are published. At"
        " the default nobody sees the text jump.",
    )
    connect_timeout_s: Seconds = Field(
        5,
        description="Longest wait for a connection to the server, in seconds.",
    )
    first_token_timeout_s: Seconds = Field(
        60,
        description="Longest wait for the first token, in seconds. It is long because a busy"
        " server queues requests.",
    )
    token_timeout_s: Seconds = Field(
        15,
        description="Longest wait between two tokens, in seconds. After that the server counts as"
        " stuck.",
    )
