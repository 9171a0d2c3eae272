"""The last day of conversations: events by session and turn."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from common.events import Ending, Event, Reply, ReplyDelta, Transcript, TurnKey
from common.results.reply_so_far import extend_reply

OVERVIEW_TURNS: Final = 60
"""Newest turns of all sessions in an overview: about three screens."""


@dataclass(slots=True)
class Turn:
    """One turn: its events so far, as JSON."""

    key: TurnKey
    at: int
    lines: list[str] = field(default_factory=list)
    words: str = ""
    """Speech and reply, case folded, for the search."""
    reply_so_far: ReplyDelta | None = None
    """The unfinished reply: all of its pieces as one."""
    is_over: bool = False

    def all_lines(self) -> Iterator[str]:
        """Yield its events; the pieces of an unfinished reply become one `reply.delta`."""
        yield from self.lines
        if self.reply_so_far is not None:
            yield self.reply_so_far.as_line()


class Chronicle:
    """The turns of the last `history_ms`, at most `max_turns` of them.

    Times are ms of the Redis server's clock.
    """

    def __init__(self, *, history_ms: int, max_turns: int) -> None:
        self._history_ms = history_ms
        self._max_turns = max_turns
        self._turns: OrderedDict[TurnKey, Turn] = OrderedDict()  # in the order of their first event
        self._sessions: dict[str, dict[TurnKey, Turn]] = {}
        self._open: dict[TurnKey, Turn] = {}

    def add(self, event: Event, line: str) -> None:
        """Add an event; `line` is its JSON. Late pieces of a finished reply are ignored."""
        key = event.key
        turn = self._turns.get(key)
        if isinstance(event, ReplyDelta):
            if turn is not None and not turn.is_over:
                turn.reply_so_far = extend_reply(turn.reply_so_far, event)
            return
        if turn is None:
            turn = self._begin(key, event.at)
        turn.lines.append(line)
        if isinstance(event, (Transcript, Reply)):
            turn.words += f"\n{event.data.text}".casefold()
        if isinstance(event, Ending):
            turn.is_over, turn.reply_so_far = True, None
            self._open.pop(key, None)

    def _begin(self, key: TurnKey, at: int) -> Turn:
        turn = self._turns[key] = self._open[key] = Turn(key, at, words=key[0].casefold())
        turns = self._sessions.setdefault(key[0], {})
        last = next(reversed(turns), None)
        if last is not None and last[1] < key[1]:
            # a session that began again never finishes its earlier turns
            for other in turns:
                self._open.pop(other, None)
        turns[key] = turn
        self.prune(at)
        return turn

    def prune(self, now_ms: int) -> None:
        """Drop turns that are too old or too many."""
        while self._turns:
            oldest = next(iter(self._turns.values()))
            if oldest.at >= now_ms - self._history_ms and len(self._turns) <= self._max_turns:
                return
            del self._turns[oldest.key]
            self._open.pop(oldest.key, None)
            turns = self._sessions[oldest.key[0]]
            del turns[oldest.key]
            if not turns:
                del self._sessions[oldest.key[0]]

    def sessions(self) -> dict[str, int]:
        """Return every session with the number of its turns."""
        return {session: len(turns) for session, turns in self._sessions.items()}

    def overview(self) -> list[str]:
        """Return the events that a visitor sees first.

        They are those of each session's last turn, of unfinished turns, and of the newest turns.
        """
        chosen = {next(reversed(turns)): None for turns in self._sessions.values()}
        chosen |= dict.fromkeys(self._open)
        for key, _ in zip(reversed(self._turns), range(OVERVIEW_TURNS), strict=False):
            chosen[key] = None
        return self._lines_of(self._turns[key] for key in self._turns if key in chosen)

    def session(self, session: str, *, limit: int) -> list[str]:
        """Return the events of a session's newest turns."""
        return self._lines_of(list(self._sessions.get(session, {}).values())[-limit:])

    def search(self, words: str, limit: int) -> list[str]:
        """Return the events of the newest turns that contain `words`, oldest first."""
        wanted = words.casefold()
        found: list[Turn] = []
        for turn in reversed(self._turns.values()):
            if wanted in turn.words:
                found.append(turn)
                if len(found) >= limit:
                    break
        return self._lines_of(reversed(found))

    def _lines_of(self, turns: Iterable[Turn]) -> list[str]:
        return [line for turn in turns for line in turn.all_lines()]
