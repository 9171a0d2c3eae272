"""What clients may send: the part of the OpenAI API that the stand-in reads.

Unknown fields are accepted and kept (a recorded request shows them), as vLLM
does; known ones are checked.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ops.demo.standin.api import tokens


class TextPart(BaseModel):
    """One part of a message whose content is a list."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One chat message. Only an assistant's tool calls may come without content."""

    model_config = ConfigDict(frozen=True, extra="allow")

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
        """The content as one string, parts joined by line breaks."""
        if self.content is None:
            return ""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """Options of a streamed answer."""

    model_config = ConfigDict(frozen=True, extra="allow")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """Body of ``POST /v1/chat/completions``.

    `ignore_eos` is vLLM's own extension: the reply goes on, repeating itself,
    until the token limit is reached, which gives benchmarks a fixed length.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

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
        """The non-empty strings that end the reply when it comes to them."""
        given = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        return tuple(string for string in given if string)

    @property
    def wants_usage(self) -> bool:
        """Whether a streamed answer ends with a chunk that carries the usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def prompt(self) -> str:
        """The messages as the one text that a model would read."""
        return tokens.chat_prompt((message.role, message.text) for message in self.messages)


class TokenizeRequest(BaseModel):
    """Body of ``POST /tokenize``: either `prompt` or `messages`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    prompt: str | None = None
    messages: tuple[Message, ...] | None = Field(default=None, min_length=1)
    model: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("send either prompt or messages")
        return self
