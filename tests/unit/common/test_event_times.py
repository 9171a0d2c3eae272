"""No event is later than a reader's limit for it; all others stay as they are."""

from typing import Any

import pytest

from common.events import Event, limit_time, parse_event


def event(at: object) -> Event:
    fields: dict[str, Any] = {"v": 1, "type": "heard", "session": "s", "epoch": 1, "turn": 1}
    fields |= {"id": "u", "at": at, "data": '{"spoken_at": 1.5}'}
    return parse_event({name.encode(): str(value).encode() for name, value in fields.items()})


@pytest.mark.parametrize(
    ("at", "limited"),
    [
        (999, 999),
        (1_000, 1_000),
        (1_001, 1_000),
        (10**60, 1_000),
        (0, 0),
        (-(10**60), -(10**60)),
    ],
)
def test_only_a_later_time_is_changed(at: int, limited: int) -> None:
    before = event(at)
    after = limit_time(before, 1_000)
    assert after.at == limited
    assert after == before.model_copy(update={"at": limited})
    assert before.at == at
