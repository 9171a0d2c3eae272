"""The draft of a killed process is ended before anything is sent."""

from collections.abc import Callable
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from common.errors import Refused
from common.redis.store import Store
from common.transitions.publishing import Published
from common.utterance import Utterance
from producer.shipping import eager as eager_module
from tests.support.shipper_bench import Bench


@pytest.fixture
def left(tmp_path: Path) -> Callable[[], str]:
    """Reads what is noted of drafts: at first, one that a process before has sent."""
    path = tmp_path / "s1.draft"
    path.write_text("dead")
    return lambda: path.read_text() if path.exists() else ""


async def test_a_draft_is_noted_before_it_goes_out(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[str] = []

    async def publish(store: Store, utterance: Utterance) -> Published:
        noted.append((tmp_path / "s1.draft").read_text())
        return await bench.server.publish(store, utterance)

    monkeypatch.setattr(eager_module, "publish", publish)
    async with bench.running():
        for name, revision in (("a", 1), ("a", 2), ("b", 1)):
            bench.eager.offer(bench.draft(name, revision))
            await bench.rest()
    assert noted == ["a", "a", "b"]


async def test_a_draft_that_was_left_open_is_ended_before_anything_is_sent(
    bench: Bench, left: Callable[[], str]
) -> None:
    bench.add("a")
    bench.eager.offer(bench.draft("b"))
    with capture_logs() as logs:
        async with bench.running():
            await bench.server.until("abandon s1 dead", "publish a 1", "publish b 1 draft")
    assert "draft_of_killed_process_ended" in [line["event"] for line in logs]
    assert left() == "b"


async def test_it_is_ended_when_redis_is_there_and_once(
    bench: Bench, left: Callable[[], str]
) -> None:
    bench.server.abandonments = [RedisConnectionError("gone"), TimeoutError(), False]
    with capture_logs() as logs:
        async with bench.running():
            bench.add("a")  # it hears meanwhile
            await bench.server.until(*["abandon s1 dead"] * 3, "publish a 1")
            await bench.shipper.drained()
    assert "draft_of_killed_process_ended" not in [line["event"] for line in logs]
    assert left() == ""
    bench.server.asked.clear()
    async with bench.running():
        await bench.rest()
    assert bench.server.asked == []


async def test_what_cannot_be_ended_is_told_and_holds_up_nothing(
    bench: Bench, left: Callable[[], str]
) -> None:
    bench.server.abandonments = [Refused("the key holds a list")]
    bench.add("a")
    with capture_logs() as logs:
        async with bench.running():
            await bench.shipper.drained()
    (told,) = [line for line in logs if line["event"] == "draft_left_open"]
    assert told["why"] == "the key holds a list"
    assert left() == "dead"


@pytest.mark.usefixtures("left")
async def test_what_will_be_committed_is_not_ended(bench: Bench) -> None:
    bench.add("dead", final=False)
    async with bench.running():
        await bench.shipper.drained()
    assert bench.server.asked == ["commit dead 1"]
