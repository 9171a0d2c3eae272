"""The last day of conversations, for visitors who come late: events by session and turn."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from common.events import DeltaData, Ending, Event, Reply, ReplyDelta, Transcript, TurnKey

OVERVIEW_TURNS: Final = 60
"""The newest turns over all sessions that an overview has: about three screens of them."""


@dataclass(slots=True)
class Turn:
    """One turn: its events as JSON, as far as they have come."""

    key: TurnKey
    at: int
    lines: list[str] = field(default_factory=list)
    words: str = ""
    """What was said and answered, case folded, to search in."""
    draft: ReplyDelta | None = None
    """The reply in the making: all of its pieces as one."""
    is_over: bool = False

    def told(self) -> Iterator[str]:
        """Its events, those of a reply in the making as one `reply.delta` that holds all of it."""
        yield from self.lines
        if self.draft is not None:
            yield self.draft.as_line()


class Chronicle:
    """What happened since `history_ms` ago, and no more than `max_turns` turns of it.

    Times are ms of the Redis server's clock.
    """

    def __init__(self, *, history_ms: int, max_turns: int) -> None:
        self._history_ms = history_ms
        self._max_turns = max_turns
        self._turns: OrderedDict[TurnKey, Turn] = OrderedDict()  # by when they were first heard of
        self._sessions: dict[str, dict[TurnKey, Turn]] = {}
        self._open: dict[TurnKey, Turn] = {}

    def add(self, event: Event, line: str) -> None:
        """Note an event; `line` is its JSON. A piece of a reply counts only while it is made."""
        key = event.key
        turn = self._turns.get(key)
        if isinstance(event, ReplyDelta):
            if turn is not None and not turn.is_over:
                turn.draft = _extend(turn.draft, event)
            return
        if turn is None:
            turn = self._begin(key, event.at)
        turn.lines.append(line)
        if isinstance(event, (Transcript, Reply)):
            turn.words += f"\n{event.data.text}".casefold()
        if isinstance(event, Ending):
            turn.is_over, turn.draft = True, None
            self._open.pop(key, None)

    def _begin(self, key: TurnKey, at: int) -> Turn:
        turn = self._turns[key] = self._open[key] = Turn(key, at, words=key[0].casefold())
        turns = self._sessions.setdefault(key[0], {})
        last = next(reversed(turns), None)
        if last is not None and last[1] < key[1]:
            # a session that began anew never ends what it had left open
            for other in turns:
                self._open.pop(other, None)
        turns[key] = turn
        self.prune(at)
        return turn

    def prune(self, now_ms: int) -> None:
        """Let go of what is too old, or too much."""
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
        """Every session with the number of its turns."""
        return {session: len(turns) for session, turns in self._sessions.items()}

    def overview(self) -> list[str]:
        """Events of what a visitor sees first: each session's last turn, what is unfinished, and
        the newest turns of all."""
        chosen = {next(reversed(turns)): None for turns in self._sessions.values()}
        chosen |= dict.fromkeys(self._open)
        for key, _ in zip(reversed(self._turns), range(OVERVIEW_TURNS), strict=False):
            chosen[key] = None
        return self._told(self._turns[key] for key in self._turns if key in chosen)

    def session(self, session: str, *, limit: int) -> list[str]:
        """Events of a session's newest turns."""
        return self._told(list(self._sessions.get(session, {}).values())[-limit:])

    def search(self, words: str, limit: int) -> list[str]:
        """Events of the newest turns in which `words` were said or answered, oldest first."""
        wanted = words.casefold()
        found: list[Turn] = []
        for turn in reversed(self._turns.values()):
            if wanted in turn.words:
                found.append(turn)
                if len(found) >= limit:
                    break
        return self._told(reversed(found))

    def _told(self, turns: Iterable[Turn]) -> list[str]:
        return [line for turn in turns for line in turn.told()]


def _extend(draft: ReplyDelta | None, event: ReplyDelta) -> ReplyDelta:
    """A draft with one more piece, or begun again by a later attempt."""
    if draft is None or event.data.attempt > draft.data.attempt:
        return event
    if event.data.attempt < draft.data.attempt or event.data.index <= draft.data.index:
        return draft
    text = draft.data.text + event.data.text
    data = DeltaData(attempt=event.data.attempt, index=event.data.index, text=text)
    return event.model_copy(update={"data": data})
