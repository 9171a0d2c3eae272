"""When a conversation ends: it had a reply, and then nothing was said for long enough."""

from dataclasses import dataclass, field
from typing import NamedTuple

from common.events import Event, Reply


class EndedConversation(NamedTuple):
    """A conversation up to its last turn."""

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
    """Needs every event in order; a session ends after `quiet_ms` without an event."""

    quiet_ms: float
    _open: dict[str, _OpenConversation] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        before = self._open.get(event.session)
        same = before is not None and before.epoch == event.epoch
        answered = isinstance(event, Reply) or (same and before is not None and before.answered)
        turn = max(event.turn, before.turn) if same and before is not None else event.turn
        self._open[event.session] = _OpenConversation(event.epoch, turn, event.at, answered)

    def ended(self, now_ms: float) -> list[EndedConversation]:
        """Return the conversations that ended since the last call; each once, unless it goes on."""
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
