"""Events keep all that is known of them when they are written as lines."""

import csv
import io
import json

from common.events import Event, parse_event
from ops.queries.event_formats import COLUMNS, FORMATS


def event(kind: str, data: str) -> Event:
    fields = {"v": "1", "type": kind, "session": "s", "epoch": "7", "turn": "2", "id": "u"}
    named = fields | {"at": "5", "data": data}
    return parse_event({name.encode(): value.encode() for name, value in named.items()})


SAID = 'Well, "so"\nhe said; é'
EVENTS = [
    event("heard", '{"spoken_at": 4, "source": "mic", "speech_ms": 900}'),
    event("transcript", json.dumps({"text": SAID, "timings": {"published": 1.5}, "model": "m"})),
    event("skipped", '{"reason": "merged", "into": 3}'),
    event("reply", '{"text": "Yes.", "interrupted": true, "timings": {"done": 9.0}}'),
    event("error", '{"stage": "stt", "reason": "poison", "error": "it broke"}'),
]


def test_a_json_line_is_what_tail_prints() -> None:
    header, row = FORMATS["jsonl"]
    assert header == ""
    for one in EVENTS:
        line = row(one)
        assert line.count("\n") == 1
        assert json.loads(line) == json.loads(one.model_dump_json(exclude_none=True))


def test_csv_is_flat_and_reads_back() -> None:
    header, row = FORMATS["csv"]
    text = header + "".join(map(row, EVENTS))
    heard, transcript, skipped, reply, error = csv.DictReader(io.StringIO(text, newline=""))
    assert tuple(heard) == COLUMNS
    assert (heard["type"], heard["at"], heard["source"], heard["speech_ms"]) == (
        "heard", "5", "mic", "900",
    )  # fmt: skip
    assert (transcript["text"], transcript["published_ms"], transcript["model"]) == (
        SAID, "1.5", "m",
    )  # fmt: skip
    assert transcript["done_ms"] == ""
    assert (skipped["reason"], skipped["into"]) == ("merged", "3")
    assert (reply["text"], reply["interrupted"], reply["done_ms"]) == ("Yes.", "True", "9.0")
    assert (error["stage"], error["error"]) == ("stt", "it broke")
