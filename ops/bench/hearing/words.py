"""Word errors, as everyone counts them."""

from dataclasses import dataclass

from ops.demo.recording_file import normalise


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Substitutions, insertions and deletions, and the words that were spoken."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """Word error rate; above 1 where more was heard than said. 0 when nothing was spoken."""
        return self.errors / self.words if self.words else 0.0


def word_errors(spoken: str, heard: str) -> WordErrors:
    """Levenshtein's distance between the words, whatever their case and punctuation."""
    reference, hypothesis = normalise(spoken).split(), normalise(heard).split()
    row = list(range(len(hypothesis) + 1))
    for number, word in enumerate(reference, start=1):
        before, row = row, [number]
        for place, guess in enumerate(hypothesis):
            wrong = before[place] + (word != guess)
            row.append(min(wrong, before[place + 1] + 1, row[place] + 1))
    return WordErrors(row[-1], len(reference))
