"""While the outbox's disk fails, the shipper sends nothing twice and leaves no draft open."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from common.transitions.publishing import Published, Verdict
from producer.shipping.identity import next_utterance_id
from producer.shipping.outbox import Outbox
from tests.support.failing_disk import FailingDisk
from tests.support.outboxes import make_utterance
from tests.support.shipper_bench import Bench
from tests.support.waiting import until


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FailingDisk:
    return FailingDisk(monkeypatch, tmp_path / "s1.sqlite3", "read-only")


async def test_a_new_turn_has_the_same_id_in_the_next_process(
    disk: FailingDisk, bench: Bench, tmp_path: Path
) -> None:
    """Its first turn had ended; its new id and its end could not be stored."""
    bench.add("a")
    bench.server.answers = [Published(Verdict.CLOSED)]
    new = next_utterance_id("a")
    with disk.failing():
        async with bench.running():
            await bench.shipper.drained()
    assert bench.server.asked == ["publish a 1", f"publish {new} 1"]
    with Outbox(tmp_path / "killed", "s1", max_bytes=10**6, max_age_s=60) as killed:
        killed.add(make_utterance("a"), age_s=0)
        bench.server.asked.clear()
        bench.server.answers = [Published(Verdict.CLOSED), Published(Verdict.DUPLICATE, 1)]
        again = Bench(bench.server, killed)
        await again.connect()
        async with again.running():
            await again.shipper.drained()
    assert bench.server.asked == ["publish a 1", f"publish {new} 1"], "and Redis knows it"


async def test_no_draft_goes_out_without_its_note(bench: Bench, tmp_path: Path) -> None:
    note = tmp_path / "s1.draft"
    note.symlink_to("/dev/full")
    with capture_logs() as logs:
        async with bench.running():
            for name in ("a", "b"):
                bench.eager.offer(bench.draft(name))
                await bench.rest()
            note.unlink()
            bench.eager.offer(bench.draft("c"))
            await bench.server.until("publish c 1 draft")
    changes = [line for line in logs if line["event"].startswith("eager_transcription")]
    assert [line["event"] for line in changes] == [
        *("eager_transcription_off", "eager_transcription_on_again")
    ]
    assert "No space left on device" in changes[0]["why"]


async def test_a_note_that_cannot_be_read_stops_nothing(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "s1.draft").mkdir()
    bench.add("a")
    with capture_logs() as logs:
        async with bench.running():
            await bench.shipper.drained()
    assert bench.server.asked == ["publish a 1"]
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["draft_left_open"]


async def test_the_disk_is_looked_at_though_nothing_happens(
    bench: Bench, disk: FailingDisk, tmp_path: Path
) -> None:
    with Outbox(tmp_path / "other", "s1", max_bytes=10**6, max_age_s=60) as outbox:
        other = Bench(bench.server, outbox)
        keeping = asyncio.create_task(other.shipper.keep_on_disk(every_s=0.01))
        with disk.failing():
            outbox.add(make_utterance("a"), age_s=0)
            assert outbox.depth().in_memory == 1
        await until(lambda: not outbox.depth().in_memory)
        keeping.cancel()
        assert len(outbox) == 1
