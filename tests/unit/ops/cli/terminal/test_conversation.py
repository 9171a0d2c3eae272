"""A person reads who said what, how long it took and how a turn ended, each on one safe line."""

from typing import Any
from unicodedata import category

import pytest
from hypothesis import given

from common.events import EVENTS, Event
from ops.cli.terminal.conversation import Conversation, to_one_line
from tests.support.event_strategies import events, texts


def _event(kind: str, data: dict[str, Any], **changed: Any) -> Event:
    head = {"v": 1, "session": "s1", "epoch": 1, "turn": 2, "id": "u", "at": 1}
    return EVENTS.validate_python(head | {"type": kind, "data": data} | changed)


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("transcript", {"text": "Hello there."}, "User: Hello there."),
        (
            "transcript",
            {"text": "Hello.", "timings": {"transcribed": 412.4}},
            "User: Hello.   [transcript 412 ms]",
        ),
        ("reply", {"text": "Hi!"}, "AI  : Hi!"),
        (
            "reply",
            {"text": "Hi!", "timings": {"first_token": 500.6, "done": 900}},
            "AI  : Hi!   [first token 501 ms, done 900 ms]",
        ),
        ("reply", {"text": "Hi", "interrupted": True}, "AI  : Hi   [interrupted]"),
        ("reply", {"text": "Hi", "finish_reason": "length"}, "AI  : Hi   [cut at max_tokens]"),
        ("reply", {"text": "Hi", "finish_reason": "stop"}, "AI  : Hi"),
        ("reply", {"text": " \n"}, "AI  : (empty)"),
        ("skipped", {"reason": "noise"}, "      (skipped: noise)"),
        ("skipped", {"reason": "merged", "into": 3}, "      (turn 2 is answered with turn 3)"),
        (
            "error",
            {"stage": "stt", "reason": "bad_audio", "error": "It is no FLAC."},
            "      (error in stt: It is no FLAC.)",
        ),
    ],
)
def test_an_event_is_a_line(kind: str, data: dict[str, Any], line: str) -> None:
    assert list(Conversation().format(_event(kind, data))) == [line]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("heard", {"spoken_at": 1}),
        ("reply.delta", {"attempt": 1, "index": 0, "text": "Hi"}),
        ("skipped", {"reason": "transcript_only"}),
    ],
)
def test_what_only_programs_need_is_left_out(kind: str, data: dict[str, Any]) -> None:
    assert list(Conversation().format(_event(kind, data))) == []


def test_sessions_stand_before_the_line_where_there_may_be_several() -> None:
    event = _event("transcript", {"text": "Hello."}, session="kitchen")
    assert list(Conversation(sessions=True).format(event)) == ["[kitchen] User: Hello."]


@given(events())
def test_no_event_makes_more_than_one_line_or_moves_the_cursor(event: Event) -> None:
    for line in Conversation(sessions=True).format(event):
        assert len(line.splitlines()) == 1
        assert not [character for character in line if category(character) == "Cc"]


@given(texts)
def test_one_line_keeps_the_words(text: str) -> None:
    assert to_one_line(text).split() == to_one_line(to_one_line(text)).split()
    assert to_one_line("a\x1b[2Jb\r\nc\x9bd") == "a [2Jb c d"
