"""The plan of a completion: a pure function of the request and the controls.

It decides all of an answer but its timing: whether the request is refused, the tokens of the reply,
where the reply breaks off, and how it ends.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import Enum, auto

from ops.demo.standin.api import errors, tokens
from ops.demo.standin.api.protocol import ChatRequest, Message
from ops.demo.standin.faults import Control
from ops.demo.standin.wit.replies import reply_to


class Ending(Enum):
    """What comes after the last token."""

    FINISH = auto()
    """A finish reason, the usage if it was asked for, and [DONE]."""
    BARE = auto()
    """Only the end of the body."""
    DROP = auto()
    """The connection is closed in the middle of the body."""
    ERROR = auto()
    """An error event, as when the engine of a real server dies."""
    SILENCE = auto()
    """Nothing, for as long as the client waits."""


@dataclass(frozen=True)
class Completion:
    """A reply, which will be sent token by token."""

    model: str
    prompt_tokens: int
    pieces: tuple[str, ...]
    finish_reason: str
    ending: Ending = Ending.FINISH
    usage_chunk: bool = False
    """Whether a stream ends with the usage."""
    mute: bool = False
    """Not even headers are sent."""


def plan(request: ChatRequest, control: Control) -> Completion:
    """Decide how `request` is answered under `control`.

    Raises Refusal if the model is unknown, or if messages or numbers of tokens are not allowed.
    """
    if request.model is not None and request.model not in control.models:
        raise errors.wrong_model(request.model, control.models)
    if control.reject_system_role:
        check_roles(request.messages)
    prompt_tokens = len(tokens.pieces(request.prompt))
    limit = _reply_limit(request, prompt_tokens, control.max_model_len)
    pieces, finish_reason = _reply(request, control, limit)
    pieces, ending = _break_off(pieces, control)
    return Completion(
        model=request.model or control.models[0],
        prompt_tokens=prompt_tokens,
        pieces=pieces,
        finish_reason=control.finish_reason or finish_reason,
        ending=ending,
        usage_chunk=request.wants_usage,
        mute=control.hang,
    )


def check_roles(messages: tuple[Message, ...]) -> None:
    """Check that the roles are user, assistant, user, ... (the template of Mistral 7B v0.1).

    Raises Refusal if they are not. A system message is never allowed.
    """
    expected = itertools.cycle(("user", "assistant"))
    if any(message.role != role for message, role in zip(messages, expected, strict=False)):
        raise errors.Refusal(400, errors.ROLES_MUST_ALTERNATE)


def _reply_limit(request: ChatRequest, prompt_tokens: int, window: int) -> int:
    """Return how many tokens the reply may have: as many as requested, within the window."""
    param = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
    asked: int | None = getattr(request, param)
    if asked is not None and asked < 1:
        raise errors.bad_value(f"{param} must be at least 1, got {asked}.", param, asked)
    if asked is not None and asked > window:
        raise errors.max_tokens_above_window(param, asked, window)
    if prompt_tokens >= window:
        raise errors.prompt_above_window(prompt_tokens, asked or 0, window)
    return min(asked or window, window - prompt_tokens)


def _reply(request: ChatRequest, control: Control, limit: int) -> tuple[tuple[str, ...], str]:
    if control.content_filter:
        return (), "content_filter"
    if control.empty_reply:
        return (), "stop"
    text = reply_to(request.messages) if control.reply is None else control.reply
    for string in request.stop_strings:
        text = text.partition(string)[0]
    pieces = tokens.pieces(text)
    if request.ignore_eos and pieces:
        pieces = list(itertools.islice(itertools.cycle([*pieces, " "]), limit + 1))
    return tuple(pieces[:limit]), "length" if len(pieces) > limit else "stop"


def _break_off(pieces: tuple[str, ...], control: Control) -> tuple[tuple[str, ...], Ending]:
    after = {
        Ending.ERROR: control.error_after_tokens,
        Ending.DROP: control.drop_after_tokens,
        Ending.SILENCE: control.hang_after_tokens,
    }
    for ending, count in after.items():
        if count is not None:
            return pieces[:count], ending
    return pieces, Ending.BARE if control.end_without_finish else Ending.FINISH
