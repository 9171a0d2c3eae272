"""A summary is made of what was said, in order, up to the turn that was asked for."""

from common.events import Event, parse_event
from ops.jobs.tasks.summary import INSTRUCTION, Request, build_messages, collect_lines


def event(kind: str, turn: int, text: str, *, epoch: int = 7) -> Event:
    fields = {
        "v": 1,
        "type": kind,
        "session": "s",
        "epoch": epoch,
        "turn": turn,
        "id": "u",
        "at": 1,
    }
    named = fields | {"data": f'{{"text": "{text}"}}'}
    return parse_event({name.encode(): str(value).encode() for name, value in named.items()})


def test_questions_come_before_their_replies_whatever_order_they_were_told_in() -> None:
    events = [
        event("transcript", 1, "of another conversation", epoch=6),
        event("transcript", 2, "How are you?"),
        event("transcript", 1, "Hello."),
        event("reply", 1, "Hi."),
        event("reply", 2, "Fine."),
        event("transcript", 3, "not asked for yet"),
    ]
    lines = collect_lines(events, Request(session="s", epoch=7, turn=2))
    assert lines == ["User: Hello.", "Assistant: Hi.", "User: How are you?", "Assistant: Fine."]
    (message,) = build_messages(lines)
    assert message["role"] == "user"
    assert message["content"].splitlines() == [INSTRUCTION, "", *lines]
