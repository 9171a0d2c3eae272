"""A conversation has ended when nothing happened in it for long enough, and is told of once."""

from common.events import Event, parse_event
from ops.jobs.conversation_end import EndDetector, EndedConversation


def event(kind: str, session: str, at: int, *, turn: int = 1, epoch: int = 7) -> Event:
    data = {"heard": '{"spoken_at": 1}', "reply": '{"text": "Hi."}'}[kind]
    fields = {"v": 1, "type": kind, "session": session, "epoch": epoch, "turn": turn, "id": "u"}
    named = fields | {"at": at, "data": data}
    return parse_event({name.encode(): str(value).encode() for name, value in named.items()})


def test_it_is_told_of_once_and_again_if_it_went_on() -> None:
    sessions = EndDetector(1_000)
    sessions.note(event("heard", "s", 0))
    sessions.note(event("reply", "s", 500))
    sessions.note(event("reply", "s", 600, turn=2))
    assert sessions.take_ended(1_599) == []
    assert sessions.take_ended(1_600) == [EndedConversation("s", 7, 2)]
    assert sessions.take_ended(9_999) == []
    sessions.note(event("reply", "s", 10_000, turn=3))
    assert sessions.take_ended(11_000) == [EndedConversation("s", 7, 3)]


def test_where_nobody_answered_there_is_nothing_to_tell() -> None:
    sessions = EndDetector(1_000)
    sessions.note(event("heard", "recording", 0))
    assert sessions.take_ended(5_000) == []


def test_one_that_began_anew_is_another_conversation() -> None:
    sessions = EndDetector(1_000)
    sessions.note(event("reply", "s", 0, turn=9))
    sessions.note(event("heard", "s", 100, turn=1, epoch=8))
    assert sessions.take_ended(5_000) == [], "the new one has no reply yet"
