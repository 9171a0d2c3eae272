"""The requests of clients: the part of the OpenAI API that the stand-in reads.

Known fields are checked. Unknown fields are accepted, as vLLM does, and recorded.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ops.demo.standin.api import tokens


class TextPart(BaseModel):
    """One part of a message whose content is a list."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One chat message. Only a message with tool calls of the assistant may have no content."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[TextPart, ...] | None = None
    tool_calls: tuple[dict[str, Any], ...] | None = None

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError(f"a message with the role {self.role} needs content")
        return self

    @property
    def text(self) -> str:
        """The content as one text. Line breaks separate its parts."""
        if self.content is None:
            return ""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """Options of a streamed answer."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    include_usage: bool = False


class ChatRequest(BaseModel):
    """The body of `POST /v1/chat/completions`.

    `ignore_eos` is an extension of vLLM: the reply is repeated until the limit of tokens is
    reached, so that all replies of a benchmark have the same length.
    """

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    messages: tuple[Message, ...]
    model: str | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | tuple[str, ...] | None = None
    n: int = Field(default=1, ge=1, le=1)
    ignore_eos: bool = False

    @model_validator(mode="after")
    def _has_messages(self) -> Self:
        if not self.messages:
            raise ValueError("messages must not be empty")
        return self

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """The texts that end the reply, without empty ones."""
        given = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        return tuple(string for string in given if string)

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a chunk that holds the usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def prompt(self) -> str:
        """The messages as one text, as a model would read it."""
        return tokens.chat_prompt((message.role, message.text) for message in self.messages)


class TokenizeRequest(BaseModel):
    """The body of `POST /tokenize`, with either `prompt` or `messages`."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    prompt: str | None = None
    messages: tuple[Message, ...] | None = Field(default=None, min_length=1)
    model: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("send either prompt or messages")
        return self
