"""What was added to the outbox stays, in order, until it is forgotten: over restarts and deaths."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from common.errors import BadInput
from common.utterance import Utterance
from producer.shipping.outbox import Outbox
from producer.storage.outbox_report import Depth, Dropped
from tests.support.outboxes import AUDIO, Clocks, add, make_utterance, take_all


def test_nothing_waits_in_a_new_outbox(outbox: Outbox) -> None:
    assert len(outbox) == 0
    assert outbox.first() is None
    assert outbox.drop_stale() is None


def test_the_first_is_handed_out_until_it_is_forgotten(outbox: Outbox) -> None:
    assert add(outbox, "a", "b", "c") == [None, None, None]
    first = outbox.first()
    assert first is not None
    assert outbox.first() == first
    assert len(outbox) == 3
    outbox.forget(first.place)
    outbox.forget(first.place)  # twice does no harm
    assert take_all(outbox) == ["b", "c"]
    assert len(outbox) == 0


def test_an_utterance_comes_out_whole(outbox: Outbox) -> None:
    utterance = Utterance(
        id="u1",
        session="s1",
        revision=2,
        codec="pcm_s16le",
        audio=bytes(range(256)),
        samples=128,
        speech_ms=8,
        source="Küche.wav",
        language="de",
        persona="butler",
        answer=False,
        interrupt=True,
        continued=True,
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    )
    outbox.add(utterance, age_s=0)
    waiting = outbox.first()
    assert waiting is not None
    assert waiting.utterance == utterance


def test_order_and_content_survive_a_restart(reopen: Callable[..., Outbox]) -> None:
    add(reopen(), "a", "b")
    outbox = reopen()
    add(outbox, "c")
    assert len(outbox) == 3
    assert take_all(outbox) == ["a", "b", "c"]
    assert take_all(reopen()) == []


def test_a_new_one_never_takes_the_place_of_one_that_is_on_its_way(outbox: Outbox) -> None:
    add(outbox, "a")
    shipped = outbox.first()
    assert shipped is not None
    outbox.forget(shipped.place)
    add(outbox, "b")
    outbox.forget(shipped.place)  # the acknowledgement came twice
    assert take_all(outbox) == ["b"]


# -- what will not be accepted, and new ids


def test_a_parked_one_is_out_of_the_way_and_kept(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    add(outbox, "a", "b")
    first = outbox.first()
    assert first is not None
    outbox.park(first.place, "a foreign key is in the way")
    assert len(outbox) == 1
    outbox = reopen()
    assert take_all(outbox) == ["b"]
    assert len(outbox) == 0


def test_a_renamed_one_keeps_its_place_and_its_audio(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    add(outbox, "a", "b")
    first = outbox.first()
    assert first is not None
    outbox.rename(first.place, "a2")
    renamed = reopen().first()
    assert renamed is not None
    assert renamed.place == first.place
    assert renamed.utterance == first.utterance.model_copy(update={"id": "a2"})


def test_what_went_out_as_a_draft_is_remembered_and_a_new_id_has_none(
    reopen: Callable[..., Outbox],
) -> None:
    outbox = reopen()
    draft = make_utterance("a").model_copy(update={"revision": 3, "final": False})
    outbox.add(draft, age_s=0)
    waiting = reopen().first()
    assert waiting is not None
    assert waiting.utterance == draft
    outbox = reopen()
    outbox.rename(waiting.place, "a2")
    renamed = outbox.first()
    assert renamed is not None
    assert renamed.utterance == make_utterance("a2")


@pytest.mark.parametrize("meta", ["{", "{}", '{"id": "a b", "session": "s1"}', "\x00"])
def test_a_damaged_row_is_parked_aloud_and_blocks_nobody(
    meta: str, reopen: Callable[..., Outbox], tmp_path: Path
) -> None:
    outbox = reopen()
    add(outbox, "a", "b")
    with sqlite3.connect(tmp_path / "s1.sqlite3") as db:
        db.execute("UPDATE waiting SET meta = ? WHERE place = 1", (meta,))
    db.close()
    with capture_logs() as logs:
        assert take_all(outbox) == ["b"]
    assert [line["event"] for line in logs] == ["utterance_parked"]
    assert "damaged" in logs[0]["why"]


# -- who may use it


def test_a_second_process_on_the_same_session_is_refused(tmp_path: Path, outbox: Outbox) -> None:
    with pytest.raises(BadInput, match=r"another `earshot listen` with the session 's1'"):
        Outbox(tmp_path, "s1", max_bytes=1, max_age_s=1)
    with Outbox(tmp_path, "s2", max_bytes=1_000, max_age_s=60) as other:
        add(other, "x")
        assert len(outbox) == 0
        assert len(other) == 1


def test_closing_it_lets_the_next_one_in(tmp_path: Path, outbox: Outbox) -> None:
    outbox.close()
    outbox.close()
    with Outbox(tmp_path, "s1", max_bytes=1, max_age_s=1) as other:
        assert len(other) == 0


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"the outbox in .*/file cannot be used: "):
        Outbox(tmp_path / "file", "s1", max_bytes=1, max_age_s=1)


# -- deaths and threads

ADD_UNTIL_KILLED = """
import sys
from pathlib import Path
from common.utterance import Utterance
from producer.shipping.outbox import Outbox

outbox = Outbox(Path(sys.argv[1]), "s1", max_bytes=10**9, max_age_s=10**6)
number = 0
while True:
    outbox.add(Utterance(id=f"u{number}", session="s1", audio=bytes(20_000)), age_s=0)
    print(number, flush=True)
    number += 1
"""


def test_nothing_that_was_added_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ADD_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        added = 20 + len(process.stdout.read().splitlines())
    with Outbox(tmp_path, "s1", max_bytes=10**9, max_age_s=10**6) as outbox:
        found = take_all(outbox)
    assert found[:added] == [f"u{number}" for number in range(added)]
    assert len(found) <= added + 1  # the one whose line was not printed any more


def test_one_thread_adds_while_another_takes(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen(max_bytes=10**9)  # with a limit, a thread that takes late would miss the oldest
    count = 200
    adding = threading.Thread(target=add, args=(outbox, *(f"u{n}" for n in range(count))))
    taken: list[str] = []

    def take() -> None:
        while len(taken) < count:
            taken.extend(take_all(outbox))

    taking = threading.Thread(target=take)
    for thread in (adding, taking):
        thread.start()
    for thread in (adding, taking):
        thread.join(timeout=60)
    assert taken == [f"u{number}" for number in range(count)]
    assert len(outbox) == 0


def test_how_many_wait_is_known_without_the_disk_and_through_everything(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    outbox = reopen(max_bytes=5 * len(AUDIO), max_age_s=100)

    def agrees(count: int) -> bool:
        return len(outbox) == outbox.depth().waiting == count

    add(outbox, "a", "b", "c")
    assert agrees(3)
    first = outbox.first()
    assert first is not None
    outbox.park(first.place, "never")
    outbox.park(first.place, "never, as was said")
    assert agrees(2)
    outbox.forget(first.place + 1)
    outbox.forget(first.place + 1)
    assert agrees(1)
    add(outbox, "d", "e", "f", "g", "h")  # the parked one and c are in the way of the last
    assert agrees(5)
    outbox = reopen(max_age_s=100)
    assert agrees(5)
    clocks.pass_(101)
    assert outbox.drop_stale() == Dropped(5, "older than 100 s")
    assert agrees(0)


def test_how_many_wait_can_be_asked_while_the_disk_is_slow(outbox: Outbox) -> None:
    add(outbox, "a")
    with outbox._lock:  # as whoever adds holds it, for as long as the disk takes
        assert len(outbox) == 1


def test_its_depth_tells_what_waits_what_is_parked_and_for_how_long(
    outbox: Outbox, clocks: Clocks
) -> None:
    assert outbox.depth() == Depth(0, 0, 0, 10_000, 0.0)
    add(outbox, "u1", "u2")
    clocks.pass_(7)
    add(outbox, "u3")
    assert outbox.depth() == Depth(3, 0, 3 * len(AUDIO), 10_000, 7.0)
    first = outbox.first()
    assert first is not None
    outbox.park(first.place, "never")
    assert outbox.depth() == Depth(2, 1, 3 * len(AUDIO), 10_000, 7.0)
