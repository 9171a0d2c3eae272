"""Answers to questions about the conversation, from the messages in the request.

Nothing is kept from one request to the next. So a right answer shows that the client has sent the
history.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from ops.demo.standin.api.protocol import Message
from ops.demo.standin.wit.wording import join_words, normalise, quote, sentences, swap_persons

REMEMBERED: Final = 3
"""How many messages a summary quotes at most."""

_SAID_AGAIN: Final = "I said: "

_ADD: Final = re.compile(
    r"\b(?:add|put) (?P<things>.+?) (?:to|on|onto) (?:my|the|our) (?:shopping )?list"
)
_REMOVE: Final = re.compile(
    r"\b(?:remove|take|delete) (?P<things>.+?) (?:from|off) (?:my|the|our) "
)
_REMIND: Final = re.compile(r"\bremind me to (?P<task>.+)$")
_NAME: Final = re.compile(r"\b(?:my name is|call me|my name's) (?P<name>[\w' ]+)$")


class History:
    """The messages of both sides before the present one, the oldest first."""

    def __init__(self, earlier: Sequence[Message]) -> None:
        self.asked = [m.text for m in earlier if m.role == "user" and m.text.strip()]
        self.answered = [m.text for m in earlier if m.role == "assistant" and m.text.strip()]
        self.sentences = [normalise(s) for text in self.asked for s in sentences(text)]
        """The user's sentences, normalised."""


def recall(sentence: str, history: History) -> str | None:
    """Return the answer to a normalised question about the conversation; None to others."""
    for pattern, answer in _QUESTIONS:
        if pattern.search(sentence):
            return answer(history)
    return None


def _last_answer(history: History) -> str:
    if not history.answered:
        return "I have not said anything yet, so there is nothing to repeat."
    last = history.answered[-1]
    # when it is asked twice, the quotation marks must not be doubled
    return last if last.startswith(_SAID_AGAIN) else _SAID_AGAIN + quote(last)


def _first_question(history: History) -> str:
    if not history.asked:
        return "This is the first thing that I have heard from you."
    return f"The first thing that I can see from you is {quote(history.asked[0])}."


def _last_question(history: History) -> str:
    if not history.asked:
        return "Before this you said nothing that I can see."
    return f"Just before this you said {quote(history.asked[-1])}."


def _count(history: History) -> str:
    before = len(history.asked)
    return f"I can see {before} message{'' if before == 1 else 's'} of yours before this one."


def _summary(history: History) -> str:
    if not history.asked:
        return "We have only just begun."
    recent = join_words([quote(text) for text in history.asked[-REMEMBERED:]])
    return f"Of late you said {recent}."


def _name(history: History) -> str:
    names = [found["name"] for s in history.sentences if (found := _NAME.search(s))]
    if not names:
        return "You have not told me your name, and a stand-in does not pry."
    return f"You told me that your name is {swap_persons(names[-1]).title()}."


def _shopping_list(history: History) -> str:
    things: dict[str, None] = {}
    for sentence in history.sentences:
        if found := _ADD.search(sentence):
            things.update(dict.fromkeys(_things(found["things"])))
        elif found := _REMOVE.search(sentence):
            for thing in _things(found["things"]):
                things.pop(thing, None)
    if not things:
        return "As far as this conversation goes, your shopping list is empty."
    return f"In this conversation you asked for {join_words(list(things))}."


def _reminders(history: History) -> str:
    tasks = [swap_persons(found["task"]) for s in history.sentences if (found := _REMIND.search(s))]
    if not tasks:
        return "You have not asked me to remind you of anything in this conversation."
    return f"You wanted to be reminded to {join_words(tasks)}; I only know because you told me."


def _things(text: str) -> list[str]:
    return [thing for thing in re.split(r" and | also ", text) if thing]


_QUESTIONS: Final[tuple[tuple[re.Pattern[str], Callable[[History], str]], ...]] = (
    (
        re.compile(
            r"^(?:please )?(?:repeat|say) (?:that|it|yourself)(?: again)?(?: please)?$"
            r"|\bsay (?:that|it) again\b|\brepeat (?:that|yourself|your last)\b|^come again$"
            r"|\bwhat did you (?:just )?say\b|\bwhat (?:was|is) your last (?:answer|reply)\b"
        ),
        _last_answer,
    ),
    (
        re.compile(
            r"\b(?:was|is) (?:my|the) (?:very )?first (?:question|thing|sentence|message|words?)\b"
            r"|\bdid i (?:say|ask|tell) (?:you )?(?:at )?first\b"
            r"|\bfirst (?:question|thing) (?:that )?i (?:said|asked|told)\b"
        ),
        _first_question,
    ),
    (
        re.compile(
            r"\bdid i (?:just )?(?:say|ask|tell)\b|\bwhat i (?:just )?(?:said|asked)\b"
            r"|\bmy (?:last|previous) (?:question|sentence|message|words?)\b"
            r"|\bwhat was my question\b"
        ),
        _last_question,
    ),
    (
        re.compile(r"\bhow (?:many|often)\b.*\b(?:have|did) i\b.*\b(?:say|said|ask(?:ed)?|sent)\b"),
        _count,
    ),
    (
        re.compile(
            r"\b(?:have|did) we (?:talk|been talking|speak|spoken)\w* about\b"
            r"|\bdo you remember\b|\bsummari[sz]e\b|\beverything i (?:said|asked)\b"
        ),
        _summary,
    ),
    (re.compile(r"\b(?:what is|what's|do you know|say) my name\b|^who am i$"), _name),
    (
        re.compile(
            r"\b(?:what is|what's|read)\b.*\b(?:shopping list|my list)\b|\bdo i need to buy\b"
        ),
        _shopping_list,
    ),
    (re.compile(r"\b(?:what are|read|list)\b.*\bmy reminders\b"), _reminders),
)
