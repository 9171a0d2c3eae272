"""The OpenAI-compatible server, and how it is asked."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from common.settings.sections.fields import Count, HostPath, Seconds, Section

Rounds = Annotated[int, Field(ge=0, le=1_000)]
TokensPerWord = Annotated[float, Field(gt=0, le=1_000)]
Temperature = Annotated[float, Field(ge=0, le=2)]


class LlmSettings(Section):
    """The OpenAI-compatible server, and how it is asked."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] = Field(
        "http://127.0.0.1:8000/v1", description="vLLM's default address on this machine."
    )
    model: str = Field(
        "", description="The served name; empty: the only model that the server lists."
    )
    api_key: SecretStr = Field(SecretStr(""), description="Sent as a bearer token if set.")
    persona: Annotated[HostPath, Field(min_length=1)] = Field(
        "assistant",
        description="Who answers where neither the session nor the producer chose: a name, or a"
        " file that ends in .toml. Bundled are assistant, customer-support, fitness-coach and"
        " tour-guide (docs/conversation.md).",
    )
    personas: HostPath = Field(
        "", description="Folder with further personas, NAME.toml each; they go over bundled ones."
    )
    system_prompt: str = Field(
        "", description="Opens every request, in place of the default persona's own prompt."
    )
    system_role: Literal["auto", "system", "first_user"] = Field(
        "auto",
        description="Where the system prompt stands: in a message of its own, or before the first"
        " question for models that refuse that role; auto: found out by the server's refusal.",
    )
    context_tokens: Annotated[int, Field(ge=0, le=10**12)] = Field(
        0,
        description="Prompt and reply together, in tokens; older rounds that do not fit are left"
        " out. 0: the window that the server tells (max_model_len). Less makes first tokens come"
        " sooner.",
    )
    rounds: Rounds = Field(
        5, description="Earlier questions with their answers that the model is shown."
    )
    tokens_per_word: TokensPerWord = Field(
        5, description="max_tokens = clamp(tokens_per_word x words, min_tokens, max_tokens)."
    )
    min_tokens: Count = Field(64, description="See tokens_per_word: a short question's answer.")
    max_tokens: Count = Field(256, description="See tokens_per_word: about a minute read aloud.")
    temperature: Temperature = Field(0.7, description="Sampling.")
    concurrency: Count = Field(
        64, description="Sessions answered at once per process: vLLM batches them."
    )
    max_merge: Count = Field(
        4, description="Turns that wait together are answered as one, at most this many."
    )
    max_answer_age_s: Annotated[float, Field(ge=0, le=1e9)] = Field(
        0, description="Turns older than this are skipped as expired; 0: never."
    )
    delta_interval_ms: Annotated[int, Field(ge=0, le=60_000)] = Field(
        150, description="Pieces of a reply are gathered this long: below it nobody sees a jump."
    )
    connect_timeout_s: Seconds = Field(5, description="To reach the server.")
    first_token_timeout_s: Seconds = Field(
        60, description="Until the first token: a loaded server queues requests."
    )
    token_timeout_s: Seconds = Field(15, description="Between two tokens: then it hangs.")
