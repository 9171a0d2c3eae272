"""Drafts go out behind the outbox, once, and only while Redis is there and workers have time; what
becomes of them is decided by the commit."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from common.errors import Refused
from common.redis.link import Link
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.transitions.publishing import Commitment, Committed, Published, Verdict
from common.utterance import Utterance
from producer.shipping import eager as eager_module
from producer.shipping import shipper as shipper_module
from producer.shipping.drafts import Draft
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper

PATIENCE_S = 30.0
MAX_BACKLOG = 4


class Server:
    """Notes what it is asked, in order; `answers` are given first, an exception is raised."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held: list[int] = []
        self.answers: list[Any] = []
        self.commitments: list[Any] = []
        self.abandonments: list[Any] = []
        self.length = 0
        self.taken: int | Exception = 0
        self.changed = asyncio.Event()

    def _note(self, what: str, answers: list[Any], default: Any) -> Any:
        self.asked.append(what)
        self.changed.set()
        answer = answers.pop(0) if answers else default
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def publish(self, store: Store, utterance: Utterance) -> Published:
        self.held.append(utterance.hold_ms)
        final = "" if utterance.final else " draft"
        answer: Published = self._note(
            f"publish {utterance.id} {utterance.revision}{final}",
            self.answers,
            Published(Verdict.ACCEPTED, 1),
        )
        return answer

    async def commit(self, store: Store, session: str, utterance: str, revision: int) -> Committed:
        outcome: Commitment = self._note(
            f"commit {utterance} {revision}", self.commitments, Commitment.OK
        )
        return Committed(outcome, 7 if outcome is Commitment.OK else 0)

    async def keep_open(self, store: Store, session: str, utterance: str) -> bool:
        return bool(self._note(f"keep open {utterance}", [], True))

    async def abandon(self, store: Store, session: str, utterance: str) -> bool:
        return bool(self._note(f"abandon {session} {utterance}", self.abandonments, True))

    async def xlen(self, stream: str) -> int:
        return self.length

    async def xpending(self, stream: str, group: str) -> dict[str, int | None]:
        if isinstance(self.taken, Exception):
            raise self.taken
        return {"pending": self.taken, "min": None}

    async def until(self, *asked: str) -> None:
        """Wait until it was asked for just this."""
        async with asyncio.timeout(PATIENCE_S):
            while self.asked != list(asked):
                self.changed.clear()
                await self.changed.wait()


class Bench:
    """A shipper on a server, with what a test does to them."""

    def __init__(self, server: Server, outbox: Outbox) -> None:
        redis: Any = server
        self.server = server
        self.outbox = outbox
        self.now = 100.0
        self.link = Link(redis, RedisSettings(), max_pause_s=0.001)
        store = Store(redis, 1, LimitSettings())
        self.shipper = Shipper(
            store, self.link, outbox, eager_backlog=MAX_BACKLOG, clock=lambda: self.now
        )
        self.eager = self.shipper.eager

    async def connect(self) -> None:
        async def ping() -> None:
            pass

        await self.link.call(ping)

    def draft(self, name: str, revision: int = 1) -> Draft:
        return Draft(
            Utterance(id=name, session="s1", revision=revision, final=False), self.now - 0.25
        )

    def add(self, name: str, revision: int = 1, *, final: bool = True) -> None:
        self.outbox.add(Utterance(id=name, session="s1", revision=revision, final=final), age_s=0)
        self.shipper.added()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.shipper.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def rest(self) -> None:
        """Wait until the shipper has nothing to do."""
        self.shipper._idle.clear()
        self.shipper._added.set()
        await self.shipper._idle.wait()


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Bench]:
    server = Server()
    for module, name in (
        (eager_module, "publish"),
        (eager_module, "keep_open"),
        (shipper_module, "publish"),
        (shipper_module, "commit"),
        (shipper_module, "abandon"),
    ):
        monkeypatch.setattr(module, name, getattr(server, name))
    with Outbox(tmp_path, "s1", max_bytes=10_000, max_age_s=60) as outbox:
        bench = Bench(server, outbox)
        await bench.connect()
        yield bench


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


# -- of a process that was killed


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


# -- drafts


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
