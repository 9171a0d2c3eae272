"""Words of one's own: names and rare words that the model is told before it listens."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final

import structlog

from common.latch import FirstTimes

MOST_TOKENS: Final = 223
"""What faster-whisper passes on: half of the 448 tokens of Whisper's window, less one. It would
cut the rest in the middle of a word, and say nothing."""

log = structlog.get_logger(__name__)


class Hotwords:
    """Makes the prompt of an utterance's words. `count_tokens` counts those of a text for the
    model.

    Without it (None) the model takes no words of one's own, and that is said once.
    """

    def __init__(self, count_tokens: Callable[[str], int] | None, model: str) -> None:
        self._count_tokens = count_tokens
        self._model = model
        self._warned = FirstTimes()

    def fit(self, words: Sequence[str]) -> str | None:
        """Return the words as one text, without those at the end that have no room; None for
        none."""
        if not words:
            return None
        if self._count_tokens is None:
            if self._warned.is_first(self._model):
                log.warning(
                    "hotwords_not_used",
                    model=self._model,
                    why="the bundled model knows its own only",
                )
            return None
        kept = self._cut(words, self._count_tokens)
        if len(kept) < len(words) and self._warned.is_first(words):
            log.warning(
                "hotwords_cut",
                left_out=len(words) - len(kept),
                used=len(kept),
                why=f"Whisper takes {MOST_TOKENS} tokens of them",
            )
        return ", ".join(kept) or None

    @staticmethod
    def _cut(words: Sequence[str], count_tokens: Callable[[str], int]) -> Sequence[str]:
        # each word that is longer needs no fewer tokens, so the place can be found by halving
        low, high = 0, len(words)
        while low < high:
            middle = (low + high + 1) // 2
            if count_tokens(" " + ", ".join(words[:middle])) <= MOST_TOKENS:
                low = middle
            else:
                high = middle - 1
        return words[:low]


def split_hotwords(text: str) -> tuple[str, ...]:
    """Return the words of a text in which commas separate them."""
    return tuple(word for part in text.split(",") if (word := " ".join(part.split())))


def join_hotwords(*sources: Iterable[str]) -> tuple[str, ...]:
    """Return the words of all sources, each once; those of the first source come first."""
    found: dict[str, str] = {}
    for word in chain.from_iterable(sources):
        found.setdefault(word.casefold(), word)
    return tuple(found.values())
