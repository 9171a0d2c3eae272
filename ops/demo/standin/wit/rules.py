"""Patterns of what people say, and what the stand-in says to that.

A pattern is matched against a normalised sentence; the first rule that matches
wins. The named groups of the pattern fill the holes of the reply. A rule with
several replies gives the next one each time that the conversation comes back
to it. No reply claims that something was done: a stand-in does nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ops.demo.standin.wit.wording import swap_persons

ANOTHER: Final = re.compile(
    r"^(?:please )?(?:give me |tell me )?(?:another|one more)(?: one)?(?: please)?$"
)
"""Asks for more of whatever the conversation was about last."""


@dataclass(frozen=True)
class Rule:
    """What to say to sentences of one kind."""

    name: str
    pattern: re.Pattern[str]
    replies: tuple[str, ...]

    def matches(self, sentence: str) -> bool:
        """Whether this rule is for the normalised `sentence`."""
        return self.pattern.search(sentence) is not None

    def reply(self, sentence: str, times_before: int) -> str:
        """The reply to a sentence that matches, for the nth time in this conversation."""
        found = self.pattern.search(sentence)
        holes = found.groupdict() if found else {}
        filled = {name: swap_persons(text) for name, text in holes.items()}
        return self.replies[times_before % len(self.replies)].format(**filled)


def rule(name: str, pattern: str, *replies: str) -> Rule:
    """A rule from the source of its pattern; every named group must take part in a match."""
    return Rule(name, re.compile(pattern), replies)
