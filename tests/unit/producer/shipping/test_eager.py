"""Drafts go out behind the outbox, once, and only while Redis is there and workers have time."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from common.errors import Refused
from common.transitions.publishing import Published, Verdict
from producer.shipping import eager as eager_module
from tests.support.shipper_bench import MAX_BACKLOG, Bench


async def test_a_draft_is_published_with_its_age_and_then_committed(bench: Bench) -> None:
    async with bench.running():
        bench.eager.offer(bench.draft("a"))
        bench.now += 0.5  # the loop was busy
        await bench.server.until("publish a 1 draft")
        bench.add("a", final=False)
        await bench.shipper.drained()
    assert bench.server.asked == ["publish a 1 draft", "commit a 1"]
    assert bench.server.held == [750]
    assert (bench.eager.sent, bench.shipper.sent) == (1, 1)


async def test_what_was_sent_early_is_told_with_its_turn(bench: Bench) -> None:
    bench.add("a", final=False)
    with capture_logs() as logs:
        async with bench.running():
            await bench.server.until("commit a 1")
            await bench.rest()
    told = [(line["turn"], line["early"]) for line in logs if line["event"] == "utterance_sent"]
    assert told == [(7, True)]


async def test_what_waits_goes_first(bench: Bench) -> None:
    bench.add("a")
    bench.add("b")
    bench.eager.offer(bench.draft("c"))
    async with bench.running():
        await bench.server.until("publish a 1", "publish b 1", "publish c 1 draft")


async def test_a_newer_draft_takes_the_place_of_one_that_has_not_gone_out(bench: Bench) -> None:
    bench.eager.offer(bench.draft("a", 1))
    bench.eager.offer(bench.draft("a", 2))
    async with bench.running():
        await bench.server.until("publish a 2 draft")
        await bench.rest()
    assert bench.server.asked == ["publish a 2 draft"]


async def test_a_draft_that_was_withdrawn_stays(bench: Bench) -> None:
    bench.eager.offer(bench.draft("a"))
    bench.eager.withdraw()
    async with bench.running():
        await bench.rest()
    assert bench.server.asked == []


async def test_while_redis_is_away_no_draft_is_tried(bench: Bench) -> None:
    async def fails() -> None:
        raise RedisConnectionError("gone")

    with pytest.raises(RedisConnectionError):
        await bench.link.call(fails)
    bench.eager.offer(bench.draft("a"))
    async with bench.running():
        await bench.rest()
    assert bench.server.asked == []
    assert bench.eager.draft is None


async def test_a_draft_whose_answer_was_lost_is_sent_again(bench: Bench) -> None:
    bench.server.answers = [RedisConnectionError("cut"), TimeoutError()]
    bench.eager.offer(bench.draft("a"))
    async with bench.running():
        await bench.server.until(*["publish a 1 draft"] * 3)
        await bench.rest()
    assert bench.eager.sent == 1


async def test_a_draft_whose_answer_was_lost_and_that_was_withdrawn_is_left_to_the_commit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*_: Any, **__: Any) -> Published:
        bench.server.asked.append("lost")
        bench.eager.withdraw()  # by then the utterance is over
        bench.add("a", final=False)
        raise RedisConnectionError("cut")

    monkeypatch.setattr(eager_module, "publish", cut)
    bench.eager.offer(bench.draft("a"))
    async with bench.running():
        await bench.server.until("lost", "commit a 1")
        await bench.shipper.drained()


@pytest.mark.parametrize(
    "answer",
    [
        Published(Verdict.FULL, why="the backlog holds 9 utterances"),
        Published(Verdict.CLOSED),
        Refused("the key x holds a string"),
    ],
)
async def test_a_draft_that_is_not_accepted_is_let_go(bench: Bench, answer: Any) -> None:
    bench.server.answers = [answer]
    bench.eager.offer(bench.draft("a"))
    async with bench.running():
        await bench.server.until("publish a 1 draft")
        await bench.rest()
    assert bench.server.asked == ["publish a 1 draft"]
    assert bench.eager.draft is None


async def test_under_backlog_it_switches_itself_off_and_on_again_and_says_so_once(
    bench: Bench,
) -> None:
    async def offered(name: str, length: int) -> None:
        bench.server.length = length
        bench.eager.offer(bench.draft(name))
        await bench.rest()

    bench.server.taken = 2
    async with bench.running():
        with capture_logs() as logs:
            await offered("a", 2 + MAX_BACKLOG)
            await offered("b", 2 + MAX_BACKLOG + 1)
            await offered("c", 99)
            await offered("d", 2 + MAX_BACKLOG)  # not yet
            await offered("e", 2 + MAX_BACKLOG // 2)
            await offered("f", 0)
    assert bench.server.asked == [f"publish {name} 1 draft" for name in "aef"]
    told = [line["event"] for line in logs if line["log_level"] != "debug"]
    assert told == ["eager_transcription_off", "eager_transcription_on_again"]


async def test_before_the_first_worker_has_come_nothing_is_taken(bench: Bench) -> None:
    bench.server.taken = ResponseError("NOGROUP No such key")
    bench.server.length = MAX_BACKLOG
    bench.eager.offer(bench.draft("a"))
    async with bench.running():
        await bench.server.until("publish a 1 draft")
        bench.server.length += 1
        bench.eager.offer(bench.draft("b"))
        await bench.rest()
    assert bench.server.asked == ["publish a 1 draft"]


async def test_a_foreign_key_in_the_way_is_left_to_publish(bench: Bench) -> None:
    bench.server.taken = ResponseError("WRONGTYPE Operation against a key of the wrong kind")
    bench.server.answers = [Refused("the key holds a string"), Refused("the key holds a string")]
    bench.eager.offer(bench.draft("a"))
    async with bench.running():
        await bench.server.until("publish a 1 draft")
        bench.add("a")
        await bench.server.until("publish a 1 draft", "publish a 1")
        await bench.rest()
    assert bench.outbox.depth().parked == 1


@pytest.mark.parametrize(
    ("verdict", "sent"),
    [
        (Verdict.ACCEPTED, 1),
        (Verdict.REVISED, 1),
        (Verdict.DUPLICATE, 0),
        (Verdict.CLOSED, 0),
        (Verdict.FULL, 0),
    ],
)
async def test_what_was_not_taken_was_not_sent(bench: Bench, verdict: Verdict, sent: int) -> None:
    bench.server.answers = [Published(verdict)]
    bench.eager.offer(bench.draft("a"))
    async with bench.running():
        await bench.server.until("publish a 1 draft")
        await bench.rest()
    assert bench.eager.sent == sent


async def test_a_sign_of_life_is_passed_on_once(bench: Bench) -> None:
    async with bench.running():
        bench.eager.report_ongoing_speech("s1", "a")
        await bench.server.until("keep open a")
        await bench.rest()
    assert bench.server.asked == ["keep open a"]
