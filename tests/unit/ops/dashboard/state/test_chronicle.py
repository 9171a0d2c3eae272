"""A late visitor is shown the last day: each session's last turn, what is unfinished, the newest of
all; a reply in the making as far as it has come; and nothing older or more than was promised."""

import json
from typing import Any

from common.events import EVENTS
from ops.dashboard.state.chronicle import OVERVIEW_TURNS, Chronicle

DAY_MS = 86_400_000


def chronicle(**limits: int) -> Chronicle:
    return Chronicle(**({"history_ms": DAY_MS, "max_turns": 1_000} | limits))


def tell(
    into: Chronicle,
    kind: str,
    turn: int,
    *,
    session: str = "s",
    epoch: int = 1,
    at: int = 1,
    **data: Any,
) -> None:
    event = EVENTS.validate_python(
        {"v": 1, "type": kind, "session": session, "epoch": epoch, "turn": turn, "id": f"u{turn}",
         "at": at, "data": data}
    )  # fmt: skip
    into.add(event, event.model_dump_json(exclude_none=True))


def hear(into: Chronicle, turn: int, **changes: Any) -> None:
    tell(into, "heard", turn, spoken_at=1.0, **changes)


def piece(into: Chronicle, turn: int, attempt: int, index: int, text: str) -> None:
    tell(into, "reply.delta", turn, attempt=attempt, index=index, text=text)


def shown(lines: list[str]) -> list[tuple[str, str, int]]:
    events = map(json.loads, lines)
    return [(event["session"], event["type"], event["turn"]) for event in events]


def test_each_session_is_there_with_its_last_turn_and_what_is_unfinished() -> None:
    kept = chronicle()
    hear(kept, 1, session="old")
    for turn in (2, 3):
        hear(kept, turn, session="old")
        tell(kept, "skipped", turn, session="old", reason="noise")
    for number in range(OVERVIEW_TURNS):
        hear(kept, 1, session=f"s{number}")
    overview = shown(kept.overview())
    assert overview[:3] == [("old", "heard", 1), ("old", "heard", 3), ("old", "skipped", 3)]
    assert len(overview) == 3 + OVERVIEW_TURNS
    assert kept.sessions()["old"] == 3


def test_a_reply_in_the_making_is_one_piece_and_goes_when_it_is_whole() -> None:
    kept = chronicle()
    hear(kept, 1)
    for index, text in enumerate(["One ", "two ", "three"]):
        piece(kept, 1, 1, index, text)
        piece(kept, 1, 1, index, text)  # read twice
    last = json.loads(kept.overview()[-1])
    assert last["data"] == {"attempt": 1, "index": 2, "text": "One two three"}
    piece(kept, 1, 2, 0, "Anew")
    piece(kept, 1, 1, 3, " of the attempt before")
    assert json.loads(kept.overview()[-1])["data"]["text"] == "Anew"
    tell(kept, "reply", 1, text="Anew!")
    piece(kept, 1, 2, 1, " too late")
    assert shown(kept.overview()) == [("s", "heard", 1), ("s", "reply", 1)]


def test_what_a_session_left_open_before_it_began_anew_is_over() -> None:
    kept = chronicle()
    hear(kept, 1)
    hear(kept, 1, epoch=2)
    for number in range(OVERVIEW_TURNS):
        hear(kept, 1, session=f"s{number}")
    assert shown(kept.overview())[0] == ("s", "heard", 1)
    assert len(kept.overview()) == 1 + OVERVIEW_TURNS


def test_the_past_is_let_go_of_by_age_and_by_number() -> None:
    kept = chronicle(max_turns=3)
    for turn in range(1, 6):
        hear(kept, turn, at=turn)
    assert kept.sessions() == {"s": 3}
    hear(kept, 1, session="t", at=DAY_MS + 5)
    assert kept.sessions() == {"s": 1, "t": 1}
    kept.prune(2 * DAY_MS + 6)
    assert kept.sessions() == {}
    assert kept.overview() == []


def test_a_session_is_read_from_its_newest_turns() -> None:
    kept = chronicle()
    for turn in range(1, 6):
        hear(kept, turn)
    assert shown(kept.session("s", limit=2)) == [("s", "heard", 4), ("s", "heard", 5)]
    assert kept.session("nobody", limit=2) == []


def test_words_are_found_in_what_was_said_and_answered_and_in_the_name() -> None:
    kept = chronicle()
    for turn in (1, 2):
        hear(kept, turn)
    tell(kept, "transcript", 1, text="Straße")
    tell(kept, "reply", 2, text="A <b>street</b>")
    assert {turn for *_, turn in shown(kept.search("STRASSE", 9))} == {1}
    assert {turn for *_, turn in shown(kept.search("<b>", 9))} == {2}
    assert kept.search("nothing", 9) == []
    assert {turn for *_, turn in shown(kept.search("s", 1))} == {2}
