"""What was learnt about a server, from its list of models, its refusals and its replies.

A wrong number would cost every conversation its history. So a window is believed only while no
reply proves that it is larger.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from common.errors import Misconfigured
from common.settings import LlmSettings
from workers.llm.answers.thoughts import THINKERS
from workers.llm.meanings.errors import SystemRoleRefused
from workers.llm.meanings.token_numbers import TokenNumbers

REASONING_ROOM: Final = 2_048
"""Tokens more for replies of a model that used up a reply's tokens for its reasoning: that of small
models takes some hundreds to 2,000."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ModelKnowledge:
    """What is known of one model. Sizes are in tokens; None and 0 where nothing is known."""

    listed_window: int | None = None
    refused_window: int | None = None
    prompt_limit: int | None = None
    reply_limit: int | None = None
    fitted_prompt: int = 0
    fitted_total: int = 0
    """The longest prompt that was answered, and the longest prompt and reply together."""
    reasoning_room: int = 0
    opens_with_thought: bool | None = None
    """Whether replies begin inside of a thought, without its first tag."""
    knows_template: bool = False
    """Whether the server was asked for the end of the model's chat template."""


@dataclass(slots=True)
class Knowledge:
    """What is known of one server's models, by their names."""

    settings: LlmSettings
    takes_system_role: bool = True
    """Whether the model's chat template takes one; the first refusal tells."""
    _models: dict[str, ModelKnowledge] = field(default_factory=dict)

    def of(self, model: str) -> ModelKnowledge:
        """Return what is known of a model."""
        return self._models.setdefault(model, ModelKnowledge())

    def window(self, model: str) -> int | None:
        """Return the window for prompt and reply together: the smallest that is known or set."""
        known = self.of(model)
        limits = (known.listed_window, known.refused_window, self.settings.context_tokens)
        return min(filter(None, limits), default=None)

    def room_for_prompt(self, model: str, reply: int) -> int | None:
        """Return how many tokens a prompt may have beside a reply of so many; None if unknown."""
        window, limit = self.window(model), self.of(model).prompt_limit
        room = None if window is None else window - reply
        return min((one for one in (room, limit) if one is not None), default=None)

    def note_listed(self, windows: Mapping[str, int]) -> None:
        """Note the windows in the list of models."""
        for model, tokens in windows.items():
            self.of(model).listed_window = tokens

    def note_refusal(self, model: str, numbers: TokenNumbers, reply: int) -> None:
        """Note the limits that the server named when it refused a prompt beside such a reply.

        A limit below what was answered before means something else.
        """
        known = self.of(model)
        is_contradiction = (
            numbers.window and numbers.prompt and numbers.prompt + reply <= numbers.window
        )
        if numbers.window and not is_contradiction and numbers.window >= known.fitted_total:
            known.refused_window = numbers.window
        if numbers.prompt_limit and numbers.prompt_limit >= known.fitted_prompt:
            known.prompt_limit = numbers.prompt_limit

    def note_usage(self, model: str, usage: Mapping[str, int] | None) -> None:
        """Note what fitted: a limit that is lower was misunderstood."""
        known = self.of(model)
        fitted = usage or {}
        known.fitted_total = max(known.fitted_total, fitted.get("total_tokens", 0))
        known.fitted_prompt = max(known.fitted_prompt, fitted.get("prompt_tokens", 0))
        if known.refused_window and known.fitted_total > known.refused_window:
            log.warning("window_was_misread", window=known.refused_window)
            known.refused_window = None
        if known.prompt_limit and known.fitted_prompt > known.prompt_limit:
            known.prompt_limit = None

    def note_reply_limit(self, model: str, tokens: int) -> None:
        """Note that longer replies were refused."""
        self.of(model).reply_limit = tokens
        log.warning("replies_are_cut", max_tokens=tokens, why="the server gives no longer ones")

    def note_spent(self, model: str) -> None:
        """Note that reasoning used up the tokens of a reply."""
        known = self.of(model)
        if not known.reasoning_room:
            known.reasoning_room = REASONING_ROOM
            log.warning("reasoning_takes_room", model=model, more_tokens=REASONING_ROOM)

    def starts_in_thought(self, model: str) -> bool:
        """Return whether a reply may begin inside of a thought; by the name, until one has told."""
        known = self.of(model).opens_with_thought
        return THINKERS.search(model) is not None if known is None else known

    def note_first_tag(self, model: str, *, is_missing: bool) -> None:
        """Note whether a reply began inside of a thought without its first tag."""
        known = self.of(model)
        if is_missing or known.opens_with_thought is None:
            known.opens_with_thought = is_missing

    def give_up_system_role(self, refusal: SystemRoleRefused) -> None:
        """Use no system role from now on; raises Misconfigured where the settings insist on it."""
        if self.settings.system_role == "system":
            raise Misconfigured(f"{refusal}: set EARSHOT_LLM__SYSTEM_ROLE to auto or first_user")
        if self.takes_system_role:
            log.info("system_role_refused", why=str(refusal), cure="first user message")
        self.takes_system_role = False
