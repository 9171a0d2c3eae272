"""The reply of the stand-in: a pure function of the messages in the request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ops.demo.standin.api.protocol import Message
from ops.demo.standin.wit.courtesies import COURTESIES
from ops.demo.standin.wit.entertainment import ENTERTAINMENT
from ops.demo.standin.wit.household import HOUSEHOLD
from ops.demo.standin.wit.knowledge import answer_from_knowledge
from ops.demo.standin.wit.memory import History, recall
from ops.demo.standin.wit.rules import ANOTHER, Rule
from ops.demo.standin.wit.wording import normalise, quote, sentences

RULES: Final = (*HOUSEHOLD, *ENTERTAINMENT, *COURTESIES)
"""All rules in the order in which they are tried."""

MAX_ANSWERED: Final = 2
"""How many sentences of a message are answered, the last ones, so that replies stay short."""


def reply_to(messages: Sequence[Message]) -> str:
    """Return the reply to the last message of the user. Earlier messages matter, too.

    The same messages always get the same reply.
    """
    last = max((i for i, m in enumerate(messages) if m.role == "user"), default=None)
    if last is None:
        return "Nobody has said anything yet; I am only a stand-in, and I wait for my cue."
    text = messages[last].text
    if not normalise(text):
        return "I heard nothing that I could answer, and I am only a stand-in."
    history = History(messages[:last])
    answers = [_answer(normalise(sentence), history) for sentence in sentences(text)]
    found = list(dict.fromkeys(answer for answer in answers if answer is not None))
    return " ".join(found[-MAX_ANSWERED:]) or (
        f"I heard {quote(text)}, but I am only a stand-in: a real model would have to answer that."
    )


def _answer(sentence: str, history: History) -> str | None:
    return (
        recall(sentence, history)
        or answer_from_knowledge(sentence)
        or _from_rules(sentence, history)
    )


def _from_rules(sentence: str, history: History) -> str | None:
    *earlier, (rule, about) = _find_rules([*history.sentences, sentence])
    if rule is None:
        return None
    return rule.reply(about, times_before=sum(before is rule for before, _ in earlier))


def _find_rules(spoken: Sequence[str]) -> list[tuple[Rule | None, str]]:
    """Return for each sentence its rule, and the sentence to which the rule is applied."""
    cues: list[tuple[Rule | None, str]] = []
    for sentence in spoken:
        rule = next((rule for rule in RULES if rule.matches(sentence)), None)
        if rule is None and cues and ANOTHER.search(sentence):
            cues.append(cues[-1])
        else:
            cues.append((rule, sentence))
    return cues
