"""What the stand-in can be told to do: speed, limits and failures.

One frozen record holds it all. It comes from the command line, is changed by
``POST /control`` and goes back to the start by ``DELETE /control``. A request
keeps the record that was in force when it arrived.
"""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from ops.demo.standin import MODEL

MIN_WINDOW: Final = 16
"""Smallest window, tokens; a greeting and a word of reply fit."""

REPLY_FAULTS: Final = (
    "hang",
    "hang_after_tokens",
    "drop_after_tokens",
    "error_after_tokens",
    "finish_reason",
    "empty_reply",
    "content_filter",
    "end_without_finish",
)
"""The fields of `Control` that spoil a reply and that `fault_count` limits."""


class Failure(BaseModel):
    """Chat requests are refused with an HTTP status, for a while."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int = Field(ge=400, le=599)
    count: int | None = Field(default=None, ge=1)
    """How many chat requests fail; None: all until the control changes."""
    everywhere: bool = False
    """Health, models and tokenize fail as well meanwhile; they are not counted."""
    message: str | None = None

    def after_one(self) -> Failure | None:
        """What is left of this failure when one more request has met it."""
        if self.count is None:
            return self
        return self.model_copy(update={"count": self.count - 1}) if self.count > 1 else None


class Control(BaseModel):
    """The state of all knobs. Times in ms or s as named, counts in tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_token_ms: float = Field(default=60, ge=0)
    """Time to the first token: short enough to talk with, long enough to be seen."""
    tokens_per_s: float = Field(default=80, gt=0)
    """Speed after the first token: faster than anyone reads, slow enough to see streaming."""
    max_model_len: int = Field(default=4096, ge=MIN_WINDOW)
    """The window: tokens of prompt and reply together."""
    models: tuple[str, ...] = Field(default=(MODEL,), min_length=1)
    """Served model names; no other is answered."""
    api_key: SecretStr | None = None
    """The bearer token that /v1 asks for; None: it asks for none."""
    reject_system_role: bool = False
    """Refuse what Mistral 7B v0.1's chat template refuses: a system message, and
    any order of messages other than user, assistant, user, ..."""
    reply: str | None = None
    """Answer every request with this text instead of the canned wit."""

    only_for: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Other knobs for requests whose newest message contains a certain text, by that text. Nothing
    is counted for them: they hold until the control changes."""
    fail: Failure | None = None
    retry_after_s: float | None = Field(default=None, ge=0)
    """Sent as Retry-After with every failure."""
    fault_count: int | None = Field(default=None, ge=1)
    """How many replies the faults below spoil; None: all until the control changes."""
    hang: bool = False
    """Take the request and send nothing, not even headers."""
    hang_after_tokens: int | None = Field(default=None, ge=0)
    """Fall silent after this many tokens, with the connection open."""
    drop_after_tokens: int | None = Field(default=None, ge=0)
    """Close the connection in mid-reply after this many tokens."""
    error_after_tokens: int | None = Field(default=None, ge=0)
    """Send an error event after this many tokens, as vLLM does when its engine dies."""
    finish_reason: str | None = None
    """End replies with this reason instead of the true one."""
    empty_reply: bool = False
    """Finish with `stop` and not one token."""
    content_filter: bool = False
    """Finish with `content_filter` and not one token."""
    end_without_finish: bool = False
    """End the stream properly, but with no finish reason, usage or [DONE]."""

    def changed(self, patch: dict[str, Any]) -> Self:
        """These knobs with the ones in `patch` set anew.

        Raises:
            pydantic.ValidationError: an unknown knob or a value out of range.
        """
        return self.model_validate({**dict(self), **patch})

    @model_validator(mode="after")
    def check_only_for(self) -> Self:
        """Refuse knobs that do not exist.

        Raises:
            pydantic.ValidationError: an unknown knob or a value out of range.
        """
        for patch in self.only_for.values():
            self._with(patch)
        return self

    def of_request(self, newest: str) -> Self:
        """The knobs for a request whose newest message is this text."""
        for text, patch in self.only_for.items():
            if text in newest:
                return self._with(patch)
        return self

    def _with(self, patch: dict[str, Any]) -> Self:
        return self.model_validate({**dict(self), "only_for": {}, **patch})

    @property
    def faulty(self) -> bool:
        """Whether a reply fault is set."""
        values = (getattr(self, name) for name in REPLY_FAULTS)
        return any(value is not None and value is not False for value in values)

    def after_refusal(self) -> Self:
        """The knobs when one more chat request was refused by `fail`."""
        return self.model_copy(update={"fail": self.fail.after_one() if self.fail else None})

    def after_reply(self) -> Self:
        """The knobs when one more reply was begun."""
        if not self.faulty or self.fault_count is None:
            return self
        if self.fault_count > 1:
            return self.model_copy(update={"fault_count": self.fault_count - 1})
        fields = type(self).model_fields
        spent = {name: fields[name].default for name in (*REPLY_FAULTS, "fault_count")}
        return self.model_copy(update=spent)
