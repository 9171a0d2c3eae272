"""Word errors, counted as usual."""

from dataclasses import dataclass

from ops.demo.recording_file import normalise


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Substitutions, insertions and deletions, and the words that were spoken."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """The word error rate: above 1 if there are more errors than words; 0 without words."""
        return self.errors / self.words if self.words else 0.0


def word_errors(spoken: str, heard: str) -> WordErrors:
    """Count the word errors (Levenshtein's distance of the words), without case and punctuation."""
    reference, hypothesis = normalise(spoken).split(), normalise(heard).split()
    row = list(range(len(hypothesis) + 1))
    for number, word in enumerate(reference, start=1):
        before, row = row, [number]
        for place, guess in enumerate(hypothesis):
            wrong = before[place] + (word != guess)
            row.append(min(wrong, before[place + 1] + 1, row[place] + 1))
    return WordErrors(row[-1], len(reference))
