"""Utterances go out one after the other, each until it is acknowledged, whatever Redis answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from common.errors import BadInput, Refused
from common.redis.link import Link
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.transitions.publishing import Published, Verdict
from common.utterance import Utterance
from producer.shipping import shipper as module
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper

PATIENCE_S = 30.0
ACCEPTED = Published(Verdict.ACCEPTED, turn=1)
DUPLICATE = Published(Verdict.DUPLICATE, turn=1)
CLOSED = Published(Verdict.CLOSED)
FULL = Published(Verdict.FULL, why="the backlog holds 8 utterances")

Answer = Published | Exception


class Server:
    """Answers each publish with the next of `answers`, then with `accepted`."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[str] = []

    async def publish(self, store: Store, utterance: Utterance) -> Published:
        self.asked.append(utterance.id)
        answer = self.answers.pop(0) if self.answers else ACCEPTED
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(module, "publish", server.publish)
    monkeypatch.setattr(module, "FULL_PAUSE_S", 0.001)
    monkeypatch.setattr(module, "FULL_PAUSE_MAX_S", 0.004)
    return server


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path, "s1", max_bytes=10_000, max_age_s=60) as outbox:
        yield outbox


@pytest.fixture
def make(server: Server, outbox: Outbox) -> Callable[..., Shipper]:
    link = Link(Redis(), RedisSettings(), max_pause_s=0.001)
    store = Store(link.redis, 1, LimitSettings())

    def made(*, outbox: Outbox = outbox) -> Shipper:
        return Shipper(store, link, outbox)

    return made


@asynccontextmanager
async def _running(shipper: Shipper) -> AsyncIterator[None]:
    running = asyncio.create_task(shipper.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _add(outbox: Outbox, *names: str) -> None:
    for name in names:
        outbox.add(Utterance(id=name, session="s1", audio=b"x" * 10, samples=5), age_s=0)


async def _ship(shipper: Shipper) -> None:
    async with _running(shipper), asyncio.timeout(PATIENCE_S):
        await shipper.drained()


async def test_what_waited_goes_out_in_order(
    server: Server, outbox: Outbox, make: Callable[..., Shipper]
) -> None:
    _add(outbox, "a", "b", "c")
    shipper = make()
    await _ship(shipper)
    assert server.asked == ["a", "b", "c"]
    assert shipper.sent == 3


async def test_what_is_added_later_goes_out_as_it_comes(
    server: Server, outbox: Outbox, make: Callable[..., Shipper]
) -> None:
    shipper = make()
    async with _running(shipper), asyncio.timeout(PATIENCE_S):
        for name in ("a", "b"):
            _add(outbox, name)
            shipper.added()
            await shipper.drained()
    assert server.asked == ["a", "b"]


@pytest.mark.parametrize(
    "error", [RedisConnectionError("gone"), TimeoutError(), AuthenticationError("WRONGPASS")]
)
async def test_while_redis_is_away_the_first_is_tried_again_and_again(
    error: Exception, server: Server, outbox: Outbox, make: Callable[..., Shipper]
) -> None:
    _add(outbox, "a", "b")
    server.answers = [error, error, error]
    await _ship(make())
    assert server.asked == ["a", "a", "a", "a", "b"]


async def test_a_lost_answer_costs_a_duplicate_and_nothing_else(
    server: Server, outbox: Outbox, make: Callable[..., Shipper]
) -> None:
    _add(outbox, "a", "b")
    server.answers = [RedisConnectionError("cut before the answer"), DUPLICATE]
    shipper = make()
    with capture_logs() as logs:
        await _ship(shipper)
    assert server.asked == ["a", "a", "b"]
    assert [line["again"] for line in logs if line["event"] == "utterance_sent"] == [True, None]


async def test_a_full_backlog_is_waited_for_and_told_once(
    server: Server, outbox: Outbox, make: Callable[..., Shipper]
) -> None:
    _add(outbox, "a", "b")
    server.answers = [FULL] * 5
    with capture_logs() as logs:
        await _ship(make())
    assert server.asked == ["a"] * 6 + ["b"]
    told = [line for line in logs if line["event"] != "utterance_sent"]
    assert [line["event"] for line in told] == ["kept_in_outbox", "backlog_has_room_again"]
    assert told[0]["why"] == FULL.why
    assert told[0]["waiting"] == 2


async def test_a_closed_turn_gives_the_utterance_a_new_id(
    server: Server, outbox: Outbox, make: Callable[..., Shipper]
) -> None:
    _add(outbox, "a", "b")
    server.answers = [CLOSED]
    await _ship(make())
    first, again, last = server.asked
    assert (first, last) == ("a", "b")
    assert again not in {"a", "b"}


async def test_what_is_never_accepted_is_parked_and_told(
    server: Server, outbox: Outbox, make: Callable[..., Shipper]
) -> None:
    _add(outbox, "a", "b")
    server.answers = [Refused("the key x holds a string")]
    with capture_logs() as logs:
        await _ship(make())
    assert server.asked == ["a", "b"]
    assert len(outbox) == 0
    parked = [line for line in logs if line["event"] == "utterance_parked"]
    assert [(line["utterance"], line["why"]) for line in parked] == [
        ("a", "the key x holds a string")
    ]


async def test_what_is_stale_is_dropped_aloud_and_not_sent(
    server: Server, outbox: Outbox, make: Callable[..., Shipper], tmp_path: Path
) -> None:
    outbox.close()
    with Outbox(tmp_path, "s1", max_bytes=10_000, max_age_s=1_000) as patient:
        patient.add(Utterance(id="stale", session="s1"), age_s=61)
        patient.add(Utterance(id="fresh", session="s1"), age_s=0)
    with (
        Outbox(tmp_path, "s1", max_bytes=10_000, max_age_s=60) as reopened,
        capture_logs() as logs,
    ):
        await _ship(make(outbox=reopened))
    assert server.asked == ["fresh"]
    dropped = [line for line in logs if line["event"] == "outbox_dropped_oldest"]
    assert [(line["count"], line["why"]) for line in dropped] == [(1, "older than 60 s")]


async def test_a_bug_is_not_retried(
    server: Server, outbox: Outbox, make: Callable[..., Shipper]
) -> None:
    _add(outbox, "a")
    server.answers = [KeyError("a bug")]
    with pytest.raises(KeyError):
        await asyncio.wait_for(make().run(), PATIENCE_S)
    assert len(outbox) == 1


async def test_an_outbox_that_breaks_ends_the_shipping_with_a_sentence(
    outbox: Outbox, make: Callable[..., Shipper]
) -> None:
    outbox.close()
    with pytest.raises(BadInput, match=r"the outbox in .* cannot be used"):
        await asyncio.wait_for(make().run(), PATIENCE_S)


async def test_cancelled_in_the_middle_it_keeps_what_was_not_acknowledged(
    server: Server,
    outbox: Outbox,
    make: Callable[..., Shipper],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _add(outbox, "a")
    begun = asyncio.Event()

    async def hangs(*_: Any, **__: Any) -> Published:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("it hangs")

    monkeypatch.setattr(module, "publish", hangs)
    async with _running(make()), asyncio.timeout(PATIENCE_S):
        await begun.wait()
    assert len(outbox) == 1
