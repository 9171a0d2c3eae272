"""The commit decides what becomes of a draft: nothing is lost where the draft did not arrive."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from common.transitions.publishing import Commitment, Published, Verdict
from producer.shipping import shipper as shipper_module
from tests.support.shipper_bench import Bench


async def test_a_draft_that_never_arrived_is_published_whole(bench: Bench) -> None:
    bench.server.commitments = [Commitment.UNKNOWN]
    bench.add("a", 2, final=False)
    async with bench.running():
        await bench.shipper.drained()
    assert bench.server.asked == ["commit a 2", "publish a 2"]


async def test_an_utterance_whose_turn_has_ended_begins_a_new_one(bench: Bench) -> None:
    bench.server.commitments = [Commitment.CLOSED]
    bench.add("a", 3, final=False)
    async with bench.running():
        await bench.shipper.drained()
    committed, published = bench.server.asked
    assert committed == "commit a 3"
    what, name, revision = published.split()
    assert (what, revision) == ("publish", "1")
    assert name != "a"


async def test_a_commit_whose_answer_was_lost_is_asked_again(bench: Bench) -> None:
    bench.server.commitments = [RedisConnectionError("cut"), TimeoutError()]
    bench.add("a", final=False)
    async with bench.running():
        await bench.shipper.drained()
    assert bench.server.asked == ["commit a 1"] * 3


async def test_a_full_backlog_is_waited_for_after_an_unknown_draft_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper_module, "FULL_PAUSE_S", 0.001)
    bench.server.commitments = [Commitment.UNKNOWN] * 2
    bench.server.answers = [Published(Verdict.FULL, why="full")]
    bench.add("a", final=False)
    async with bench.running():
        await bench.shipper.drained()
    assert bench.server.asked == ["commit a 1", "publish a 1"] * 2
