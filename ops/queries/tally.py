"""How turns ended, counted from the results."""

from common.events import Error, Event, Heard, Reply, Skipped, TurnKey


class Tally:
    """Counts how the turns of a run ended."""

    def __init__(self) -> None:
        self._heard: dict[TurnKey, str] = {}
        self._endings: dict[TurnKey, str] = {}

    def add(self, event: Event) -> None:
        """Note an event of the run."""
        turn = event.key
        match event:
            case Heard():
                self._heard[turn] = event.id
            case Reply():
                self._endings[turn] = "replies"
            case Skipped(data=data):
                self._endings[turn] = "merged" if data.reason == "merged" else "skipped"
            case Error():
                self._endings[turn] = "errors"

    @property
    def unfinished(self) -> int:
        """The number of turns that have not ended yet."""
        return len(self._heard.keys() - self._endings.keys())

    def summary(self) -> dict[str, int]:
        """Return the counts: `utterances` = replies + merged + skipped + errors + lost."""
        ends = [self._endings.get(turn) for turn in self._heard]
        return {
            "utterances": len(ends),
            "replies": ends.count("replies"),
            "merged": ends.count("merged"),
            "skipped": ends.count("skipped"),
            "errors": ends.count("errors"),
            "lost": ends.count(None),
        }
