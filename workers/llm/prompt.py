"""The messages of a request, built from what was said now and before: pure functions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, Self

from common.transitions.answering import Message
from workers.llm.persona import Persona
from workers.llm.server.tokens import SAFE_SHARE


class Round(NamedTuple):
    """An earlier question with its answer."""

    question: str
    answer: str


def join_texts(texts: Iterable[str]) -> str:
    """Make one question of turns that are answered together: a line for each."""
    return "\n".join(stripped for text in texts if (stripped := text.strip()))


def newest_rounds(history: Sequence[Message], limit: int) -> tuple[Round, ...]:
    """Return the newest `limit` rounds of a history, oldest first; never half a round.

    Leaves out what is no round (an answer without its question, two questions in a row): chat
    templates refuse conversations in which the roles do not alternate.
    """
    rounds = [
        Round(asked["content"], answered["content"])
        for asked, answered in pairwise(history)
        if asked.get("role") == "user" and answered.get("role") == "assistant"
    ]
    return tuple(rounds[max(len(rounds) - limit, 0) :])


def round_messages(question: str, answer: str) -> list[Message]:
    """Return the messages that a round adds to the history; none if there was no answer."""
    if not answer:
        return []
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def newest_that_fit(
    rounds: Sequence[Round], budget: float, size: Callable[[Round], float]
) -> tuple[Round, ...]:
    """Return the longest run of newest rounds whose sizes add up to at most `budget`."""
    kept = len(rounds)
    for round_ in reversed(rounds):
        budget -= size(round_)
        if budget < 0:
            break
        kept -= 1
    return tuple(rounds[kept:])


@dataclass(frozen=True, slots=True)
class Prompt:
    """The content of one request. `rounds` are the earlier ones, oldest first."""

    system: str
    rounds: tuple[Round, ...]
    question: str

    def messages(self, *, system_role: bool = True) -> list[Message]:
        """Return the chat messages.

        Without a `system_role` the system prompt opens the first question: some chat templates
        refuse that role (Mistral 7B v0.1 and v0.2, Gemma).
        """
        talk: list[Message] = []
        for round_ in self.rounds:
            talk += round_messages(round_.question, round_.answer)
        talk.append({"role": "user", "content": self.question})
        if not self.system:
            return talk
        if system_role:
            return [{"role": "system", "content": self.system}, *talk]
        return [{"role": "user", "content": f"{self.system}\n\n{talk[0]['content']}"}, *talk[1:]]

    def texts(self) -> list[str]:
        """Return the texts in the messages, in their order."""
        spoken = [text for round_ in self.rounds for text in round_]
        return [text for text in (self.system, *spoken, self.question) if text]

    def fit(
        self, budget: float, size: Callable[[str], float], *, base: float, per_message: float
    ) -> Self:
        """Return the same question with as many of the newest rounds as fit into `budget` tokens.

        `size` tells the tokens of a text, `per_message` what a message adds to its text, and
        `base` what a request adds to its messages. The question alone may still be too long.
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

    def shrink(self, *, window: int | None, prompt_tokens: int | None, reserve: int) -> Self:
        """Return the same question with less history, for a server that found it too long.

        `window` and `prompt_tokens` are the server's own counts; `reserve` is how many tokens the
        reply may take. Leaves out all of the history where the server told no counts.
        """
        if not window or not prompt_tokens:
            return replace(self, rounds=())
        characters = sum(len(message["content"]) for message in self.messages())
        affordable = max(window - reserve, 0) / prompt_tokens * characters * SAFE_SHARE
        without_rounds = characters - sum(map(_characters, self.rounds))
        kept = newest_that_fit(self.rounds, affordable - without_rounds, _characters)
        # the estimate may be wrong, and the same request must not be sent again
        return replace(self, rounds=kept if len(kept) < len(self.rounds) else kept[1:])


def build_prompt(persona: Persona, history: Sequence[Message], said: Iterable[str]) -> Prompt:
    """Build what a persona is asked: its system prompt, what it remembers, and the new question.

    `history` is what Redis keeps, oldest first; `said` the texts of the turns to answer.
    """
    return Prompt(persona.system_prompt, newest_rounds(history, persona.rounds), join_texts(said))


def _characters(round_: Round) -> int:
    return len(round_.question) + len(round_.answer)
