"""The end of a conversation: it had a reply, and then nothing was said for some time."""

from dataclasses import dataclass, field
from typing import NamedTuple

from common.events import Event, Reply


class EndedConversation(NamedTuple):
    """A conversation that has ended, with the number of its last turn."""

    session: str
    epoch: int
    turn: int


@dataclass(slots=True)
class _OpenConversation:
    epoch: int
    turn: int
    at: int
    answered: bool


@dataclass(slots=True)
class EndDetector:
    """Finds conversations that have ended: nothing came for `quiet_ms`. It needs every event."""

    quiet_ms: float
    _open: dict[str, _OpenConversation] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Note an event. They must come in order."""
        before = self._open.get(event.session)
        same = before is not None and before.epoch == event.epoch
        answered = isinstance(event, Reply) or (same and before is not None and before.answered)
        turn = max(event.turn, before.turn) if same and before is not None else event.turn
        self._open[event.session] = _OpenConversation(event.epoch, turn, event.at, answered)

    def take_ended(self, now_ms: float) -> list[EndedConversation]:
        """Return the conversations that have ended since the last call.

        An event from the future came before the clock was set back: its silence begins now.
        """
        for one in self._open.values():
            one.at = min(one.at, round(now_ms))
        quiet = [
            (session, one)
            for session, one in self._open.items()
            if now_ms - one.at >= self.quiet_ms
        ]
        for session, _ in quiet:
            del self._open[session]
        return [
            EndedConversation(session, one.epoch, one.turn)
            for session, one in quiet
            if one.answered
        ]
