"""The summary is counted from the results alone, and always adds up."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.events import EVENTS, Event
from ops.queries.tally import Tally
from tests.support.event_strategies import events

NOTHING = {"utterances": 0, "replies": 0, "merged": 0, "skipped": 0, "errors": 0, "lost": 0}


def _event(kind: str, turn: int, *, session: str = "s", epoch: int = 1, **data: Any) -> Event:
    needed: dict[str, dict[str, Any]] = {
        "heard": {"spoken_at": 1},
        "transcript": {"text": "hi"},
        "reply": {"text": "hi"},
        "skipped": {"reason": "noise"},
        "error": {"stage": "stt", "reason": "bad_audio", "error": "no FLAC"},
    }
    return EVENTS.validate_python(
        {
            "v": 1,
            "type": kind,
            "session": session,
            "epoch": epoch,
            "turn": turn,
            "id": f"u{turn}",
            "at": 1,
            "data": needed[kind] | data,
        }
    )


def _tally(*told: Event) -> Tally:
    tally = Tally()
    for event in told:
        tally.add(event)
    return tally


def test_each_ending_is_counted() -> None:
    heard = [_event("heard", turn) for turn in range(1, 7)]
    tally = _tally(
        *heard,
        _event("transcript", 1),
        _event("reply", 1),
        _event("skipped", 2),
        _event("skipped", 3, reason="merged", into=4),
        _event("reply", 4),
        _event("error", 5),
    )
    assert tally.unfinished == 1
    assert tally.summary() == {
        "utterances": 6,
        "replies": 2,
        "merged": 1,
        "skipped": 1,
        "errors": 1,
        "lost": 1,
    }


def test_sessions_and_epochs_have_turns_of_their_own() -> None:
    tally = _tally(
        _event("heard", 1),
        _event("heard", 1, session="other"),
        _event("heard", 1, epoch=2),
        _event("reply", 1),
    )
    assert tally.summary() == NOTHING | {"utterances": 3, "replies": 1, "lost": 2}


def test_an_event_that_comes_twice_counts_once() -> None:
    again = [_event("heard", 1), _event("reply", 1)]
    assert _tally(*again, *again).summary() == NOTHING | {"utterances": 1, "replies": 1}


def test_an_ending_may_overtake_its_beginning() -> None:
    assert _tally(_event("skipped", 1), _event("heard", 1)).unfinished == 0


def test_what_was_heard_before_is_not_counted() -> None:
    assert _tally(_event("reply", 1)).summary() == NOTHING


@given(st.lists(events(), max_size=30))
def test_it_always_adds_up(told: list[Event]) -> None:
    tally = _tally(*told)
    summary = tally.summary()
    assert summary["utterances"] == sum(summary.values()) - summary["utterances"]
    assert summary["lost"] == tally.unfinished
