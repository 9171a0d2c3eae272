"""The controls of the stand-in: its speed, its limits and its faults.

One frozen record holds all of them. The command line makes it, `POST /control` changes it, and
`DELETE /control` resets it. A request keeps the record that there was when it arrived.
"""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from ops.demo.standin import MODEL
from ops.demo.standin.prepared import PreparedAnswer

MIN_WINDOW: Final = 16
"""Smallest window, in tokens: a greeting and a reply of one word fit into it."""

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
"""The fields of `Control` that spoil a reply. `fault_count` limits them."""


class Failure(BaseModel):
    """A fault: chat requests are refused with an HTTP status."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    status: int = Field(ge=400, le=599)
    count: int | None = Field(default=None, ge=1)
    """How many chat requests fail. None means all, until the control changes."""
    everywhere: bool = False
    """Health, models and tokenize fail as well. They are not counted."""
    message: str | None = None

    def after_one(self) -> Failure | None:
        """Return what is left of this fault after one more request; None if nothing is left."""
        if self.count is None:
            return self
        return self.model_copy(update={"count": self.count - 1}) if self.count > 1 else None


class Control(BaseModel):
    """All controls. Times are in ms or s, as the names say; sizes are in tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    first_token_ms: float = Field(default=60, ge=0)
    """Time to the first token: short enough for a conversation, long enough to be seen."""
    tokens_per_s: float = Field(default=80, gt=0)
    """Speed after the first token: faster than people read, and slow enough to see the stream."""
    max_model_len: int = Field(default=4096, ge=MIN_WINDOW)
    """The window: how many tokens prompt and reply may have together."""
    models: tuple[str, ...] = Field(default=(MODEL,), min_length=1)
    """The names of the models that are served."""
    api_key: SecretStr | None = None
    """The bearer token that requests to /v1 need. None means that they need none."""
    reject_system_role: bool = False
    """Refuse what the chat template of Mistral 7B v0.1 refuses: a system message, and any order of
    messages other than user, assistant, user, ..."""
    reply: str | None = None
    """Answer every request with this text instead of a joke."""

    only_for: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Other controls for requests whose newest message contains a certain text, by that text.
    Nothing is counted for them. They hold until the control changes."""
    fail: Failure | None = None
    retry_after_s: float | None = Field(default=None, ge=0)
    """The header Retry-After of every failure."""
    prepared: tuple[PreparedAnswer, ...] = ()
    """Answers of other servers, to be sent as they are. The first that fits a request is sent."""
    fault_count: int | None = Field(default=None, ge=1)
    """How many replies the faults below spoil. None means all, until the control changes."""
    hang: bool = False
    """Accept the request, and send nothing, not even headers."""
    hang_after_tokens: int | None = Field(default=None, ge=0)
    """Send nothing more after this many tokens, but keep the connection open."""
    drop_after_tokens: int | None = Field(default=None, ge=0)
    """Close the connection after this many tokens, in the middle of the reply."""
    error_after_tokens: int | None = Field(default=None, ge=0)
    """Send an error event after this many tokens, as vLLM does when its engine dies."""
    finish_reason: str | None = None
    """End replies with this reason instead of the true one."""
    empty_reply: bool = False
    """Finish with `stop`, without any token."""
    content_filter: bool = False
    """Finish with `content_filter`, without any token."""
    end_without_finish: bool = False
    """End the stream properly, but without finish reason, usage and [DONE]."""

    def with_changes(self, patch: dict[str, Any]) -> Self:
        """Return the controls with the changes in `patch`.

        Raises pydantic.ValidationError if a control is unknown, or a value out of range.
        """
        return self.model_validate({**dict(self), **patch})

    @model_validator(mode="after")
    def check_only_for(self) -> Self:
        """Validate the controls in `only_for`.

        Raises pydantic.ValidationError if a control is unknown, or a value out of range.
        """
        for patch in self.only_for.values():
            self._with(patch)
        return self

    def for_request(self, newest: str) -> Self:
        """Return the controls for a request whose newest message is this text."""
        for text, patch in self.only_for.items():
            if text in newest:
                return self._with(patch)
        return self

    def _with(self, patch: dict[str, Any]) -> Self:
        return self.model_validate({**dict(self), "only_for": {}, **patch})

    @property
    def has_reply_fault(self) -> bool:
        """Whether a reply fault is set."""
        values = (getattr(self, name) for name in REPLY_FAULTS)
        return any(value is not None and value is not False for value in values)

    def after_refusal(self) -> Self:
        """Return the controls after one more chat request was refused because of `fail`."""
        return self.model_copy(update={"fail": self.fail.after_one() if self.fail else None})

    def after_prepared(self, sent: PreparedAnswer) -> Self:
        """Return the controls after one of the prepared answers was sent once more."""
        left = (one.after_one() if one is sent else one for one in self.prepared)
        return self.model_copy(update={"prepared": tuple(one for one in left if one is not None)})

    def after_reply(self) -> Self:
        """Return the controls after one more reply has begun."""
        if not self.has_reply_fault or self.fault_count is None:
            return self
        if self.fault_count > 1:
            return self.model_copy(update={"fault_count": self.fault_count - 1})
        fields = type(self).model_fields
        spent = {name: fields[name].default for name in (*REPLY_FAULTS, "fault_count")}
        return self.model_copy(update=spent)
