"""The errors that an LLM server's answers lead to, beside those of `common/errors.py`.

Each kind is one that a request can be changed for. `Transient`: time or a person can mend it; a
wrong key or model name is one. `Permanent`: this server will never answer the request.
"""

from collections.abc import Sequence

from common.errors import Permanent, Transient
from workers.llm.meanings.token_numbers import TokenNumbers


class ContextTooLong(Permanent):
    """The prompt does not fit the model's window, or the rate of tokens.

    `numbers` are the server's own. `is_guess`: it refused without a reason, and this is the
    likeliest one. `is_rate`: the request needs more tokens than may be used in a minute.
    """

    def __init__(
        self,
        message: str,
        numbers: TokenNumbers | None = None,
        *,
        is_guess: bool = False,
        is_rate: bool = False,
    ) -> None:
        super().__init__(message)
        self.numbers = numbers or TokenNumbers()
        self.is_guess = is_guess
        self.is_rate = is_rate

    @property
    def may_concern_reply(self) -> bool:
        """Whether the prompt may fit beside a shorter reply."""
        limit_of_prompt = self.numbers.prompt_limit and not self.numbers.window
        return not self.is_guess and (self.is_rate or not limit_of_prompt)

    def room_for_reply(self, reply: int) -> int | None:
        """Return how many tokens are left for a reply; None if the server did not tell.

        `reply`: those that were asked for.
        """
        numbers = self.numbers
        if not numbers.prompt:
            return None
        if self.is_rate and numbers.prompt_limit:
            return numbers.prompt_limit + reply - numbers.prompt
        return numbers.window - numbers.prompt if numbers.window else None


class WindowFull(ContextTooLong):
    """The window turned out too small in the middle of a reply: its text is not kept."""


class ReplyTooLong(Permanent):
    """The server gives no replies of the length that was asked for.

    `numbers` are those in the server's words: its limit is among them, if it told.
    """

    def __init__(self, message: str, *, numbers: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.numbers = tuple(numbers)


class ReplyTooShort(Permanent):
    """The model used up all tokens of the reply before it said anything: it reasons."""


class SystemRoleRefused(Permanent):
    """The model's chat template takes no system message."""


class ParameterRefused(Permanent):
    """The server does not take a field of the request: `name`, or one that it does not name."""

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name


class WrongPath(Transient):
    """There is no such interface at this path of the server. It may be at another."""


class NoSuchModel(Transient):
    """The server does not have the model."""


class StartAnew(Exception):
    """The text that came so far turned out to be the model's thoughts: begin the reply again."""
