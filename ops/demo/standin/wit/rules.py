"""Rules: patterns of sentences, and the replies to them.

A pattern is compared with a normalised sentence, and the first rule that matches is used. Named
groups of the pattern fill the gaps in the reply. A rule with several replies gives another one each
time. No reply says that something was done, because a stand-in does nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ops.demo.standin.wit.wording import swap_persons

ANOTHER: Final = re.compile(
    r"^(?:please )?(?:give me |tell me )?(?:another|one more)(?: one)?(?: please)?$"
)
"""Matches a request for another reply of the same rule."""


@dataclass(frozen=True)
class Rule:
    """The replies to sentences of one kind."""

    name: str
    pattern: re.Pattern[str]
    replies: tuple[str, ...]

    def matches(self, sentence: str) -> bool:
        """Return whether this rule is for the normalised `sentence`."""
        return self.pattern.search(sentence) is not None

    def reply(self, sentence: str, times_before: int) -> str:
        """Return the reply to a sentence that matches, after `times_before` earlier ones."""
        found = self.pattern.search(sentence)
        groups = found.groupdict() if found else {}
        values = {name: swap_persons(text) for name, text in groups.items()}
        return self.replies[times_before % len(self.replies)].format(**values)


def rule(name: str, pattern: str, *replies: str) -> Rule:
    """Make a rule. Every named group of its pattern must be a part of each match."""
    return Rule(name, re.compile(pattern), replies)
