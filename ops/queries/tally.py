"""How turns ended: the summary of a run, counted from the results alone."""

from common.events import Error, Event, Heard, Reply, Skipped, TurnKey


class Tally:
    """Counts the endings of the turns that were heard."""

    def __init__(self) -> None:
        self._heard: dict[TurnKey, str] = {}
        self._endings: dict[TurnKey, str] = {}

    def add(self, event: Event) -> None:
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
        """Turns that were heard and have no ending yet."""
        return len(self._heard.keys() - self._endings.keys())

    def summary(self) -> dict[str, int]:
        """`utterances` = replies + merged + skipped + errors + lost."""
        ends = [self._endings.get(turn) for turn in self._heard]
        return {
            "utterances": len(ends),
            "replies": ends.count("replies"),
            "merged": ends.count("merged"),
            "skipped": ends.count("skipped"),
            "errors": ends.count("errors"),
            "lost": ends.count(None),
        }
