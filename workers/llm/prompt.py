"""From what was said, now and before, to the messages of a request: pure functions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple, Self

from common.settings import LlmSettings
from common.transitions.answering import Message

# Of the tokens that a window leaves for the conversation, this share is planned with where counts
# are estimated by characters: messages differ in how many characters make a token.
SAFE_SHARE: Final = 0.9


class Round(NamedTuple):
    """An earlier question with its answer."""

    question: str
    answer: str


def question_of(texts: Iterable[str]) -> str:
    """Turns that are answered together are one message, a line for each."""
    return "\n".join(stripped for text in texts if (stripped := text.strip()))


def rounds_of(history: Sequence[Message], limit: int) -> tuple[Round, ...]:
    """The newest `limit` rounds of a history, oldest first; never half a round.

    What is no round (an answer without its question, two questions in a row) is left out: chat
    templates refuse conversations in which the roles do not alternate.
    """
    rounds = [
        Round(asked["content"], answered["content"])
        for asked, answered in pairwise(history)
        if asked.get("role") == "user" and answered.get("role") == "assistant"
    ]
    return tuple(rounds[max(len(rounds) - limit, 0) :])


def history_of(question: str, answer: str) -> list[Message]:
    """What the history grows by; nothing if there was no answer."""
    if not answer:
        return []
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def newest_that_fit(
    rounds: Sequence[Round], budget: float, size: Callable[[Round], float]
) -> tuple[Round, ...]:
    """The longest run of newest rounds whose sizes add up to at most `budget`."""
    kept = len(rounds)
    for round_ in reversed(rounds):
        budget -= size(round_)
        if budget < 0:
            break
        kept -= 1
    return tuple(rounds[kept:])


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one request is made of. `rounds` are the earlier ones, oldest first."""

    system: str
    rounds: tuple[Round, ...]
    question: str

    def messages(self, *, system_role: bool = True) -> list[Message]:
        """The chat messages; without a `system_role` the system prompt opens the first question.

        Some chat templates refuse the system role (Mistral 7B v0.1 and v0.2, Gemma).
        """
        talk: list[Message] = []
        for round_ in self.rounds:
            talk += history_of(round_.question, round_.answer)
        talk.append({"role": "user", "content": self.question})
        if not self.system:
            return talk
        if system_role:
            return [{"role": "system", "content": self.system}, *talk]
        return [{"role": "user", "content": f"{self.system}\n\n{talk[0]['content']}"}, *talk[1:]]

    def texts(self) -> list[str]:
        """What stands in the messages, in their order."""
        spoken = [text for round_ in self.rounds for text in round_]
        return [text for text in (self.system, *spoken, self.question) if text]

    def fitting(
        self, budget: float, size: Callable[[str], float], *, base: float, per_message: float
    ) -> Self:
        """The same question with as many of the newest rounds as fit into `budget` tokens.

        `size` tells the tokens of a text, `per_message` what a message adds to its text, and
        `base` what a request adds to its messages. Without any round it may still be too much.
        """
        budget -= base + size(self.question) + per_message
        if self.system:
            budget -= size(self.system) + per_message
        return replace(
            self,
            rounds=newest_that_fit(
                self.rounds,
                budget,
                lambda round_: size(round_.question) + size(round_.answer) + 2 * per_message,
            ),
        )

    def shrunk(self, *, window: int | None, prompt_tokens: int | None, reserve: int) -> Self:
        """The same question with less history, for a server that found the prompt too long.

        `window` and `prompt_tokens` are the server's own counts; `reserve` is how many tokens the
        reply may take. Where the server told no counts, all of the history goes.
        """
        if not window or not prompt_tokens:
            return replace(self, rounds=())
        characters = sum(len(message["content"]) for message in self.messages())
        affordable = max(window - reserve, 0) / prompt_tokens * characters * SAFE_SHARE
        without = characters - sum(map(_characters, self.rounds))
        kept = newest_that_fit(self.rounds, affordable - without, _characters)
        # the estimate may be wrong, and the same request must not be sent again
        return replace(self, rounds=kept if len(kept) < len(self.rounds) else kept[1:])


def prompt_of(persona: LlmSettings, history: Sequence[Message], said: Iterable[str]) -> Prompt:
    """What a persona is asked: its system prompt, what it remembers, and all that was said since.

    `history` is what Redis keeps, oldest first; `said` the texts of the turns to answer.
    """
    return Prompt(persona.system_prompt, rounds_of(history, persona.rounds), question_of(said))


def _characters(round_: Round) -> int:
    return len(round_.question) + len(round_.answer)
