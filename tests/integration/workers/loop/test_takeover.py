"""A dead worker's work goes on elsewhere, soon and however busy the others are; an outage of
Redis makes nobody take from the living; and what is recorded waits for what is live.
"""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.events import Transcript
from common.keys import shard_number
from common.transitions.claims import Settled, heartbeat
from common.transitions.transcribing import settle_utterance
from ops.bench.chaos.speech import spoken_text
from tests.support.metric_samples import growth
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tests.support.worker_tasks import (
    CLAIM_S,
    LONGER_CLAIM_S,
    HookedEngine,
    WorkerTask,
    WorkerTasks,
    running_worker_tasks,
)
from workers.loop import in_hand
from workers.stt import handler as stt

DURABLE = {"appendonly": "yes", "appendfsync": "always"}
JOB_S = 0.03


async def holder(workers: WorkerTasks, name: str, number: int, **worker: float) -> WorkerTask:
    """A worker that has this number in hand for as long as the test lasts."""
    engine = HookedEngine()
    engine.hooks[number] = workers.hold
    started = await workers.start(name, engine, **worker)
    await workers.publish(number, session=f"held-{number}")
    await until(lambda: engine.calls)
    return started


def take_time(engine: HookedEngine, numbers: range) -> None:
    for number in numbers:
        engine.hooks[number] = lambda: time.sleep(JOB_S)


async def test_the_work_of_a_dead_worker_is_done_by_another(workers: WorkerTasks) -> None:
    dead = await holder(workers, "w1", 0)
    await dead.kill()
    other = await workers.start("w2", claim_idle_s=CLAIM_S)
    await workers.wait_for_transcripts(0)
    assert other.engine.calls == [0]


async def test_a_living_worker_keeps_what_takes_it_long(workers: WorkerTasks) -> None:
    engine = HookedEngine()
    engine.hooks[0] = lambda: time.sleep(1.5 * LONGER_CLAIM_S)
    await workers.start("w1", engine, claim_idle_s=CLAIM_S)
    await workers.publish(0)
    await until(lambda: engine.calls)
    other = await workers.start("w2", claim_idle_s=LONGER_CLAIM_S)
    await workers.wait_for_transcripts(0)
    assert engine.calls == [0]
    assert other.engine.calls == []


async def test_a_busy_worker_takes_over_too(workers: WorkerTasks) -> None:
    """New work must not go before what a dead worker has left, or that waits for the backlog."""
    dead = await holder(workers, "w1", 0)
    await dead.kill()
    numbers = range(1, 101)
    for number in numbers:
        await workers.publish(number, session=f"s{number % 10}")
    engine = HookedEngine()
    take_time(engine, numbers)
    await workers.start("w2", engine, claim_idle_s=CLAIM_S)
    await workers.wait_for_transcripts(0, *numbers)
    assert engine.calls.index(0) < 80


async def test_what_was_handed_back_goes_before_the_backlog(workers: WorkerTasks) -> None:
    leaving = await holder(workers, "w1", 0, drain_timeout_s=0.1)
    numbers = range(1, 81)
    for number in numbers:
        await workers.publish(number, session=f"s{number % 10}")
    engine = HookedEngine()
    take_time(engine, numbers)
    await workers.start("w2", engine)
    await leaving.terminate()
    done_by_then = len(engine.calls)
    await workers.wait_for_transcripts(0, *numbers)
    assert engine.calls.index(0) < done_by_then + 40


async def test_no_shard_waits_for_the_backlog_of_another(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_worker_tasks(redis_server, monkeypatch, shards=4) as workers:
        sessions: dict[int, str] = {}
        for number in range(100):
            sessions.setdefault(shard_number(f"s{number}", 4), f"s{number}")
        numbers = range(80)
        for number in numbers:
            await workers.publish(number, session=sessions[number % 4])
        engine = HookedEngine()
        take_time(engine, numbers)
        await workers.start("w1", engine)
        await workers.wait_for_transcripts(*numbers)
        half = Counter(number % 4 for number in engine.calls[:40])
        assert min(half.values()) >= 8, half
        assert len(half) == 4


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_nothing_is_in_hand_beyond_the_room(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, concurrency: int
) -> None:
    async with running_worker_tasks(
        redis_server, monkeypatch, stt={"concurrency": concurrency}
    ) as workers:
        engine = HookedEngine()
        for number in range(9):
            engine.hooks[number] = workers.hold
        await workers.start("w1", engine)
        for number in range(9):
            await workers.publish(number, session=f"s{number}")

        async def full() -> bool:
            return len(engine.calls) == concurrency

        await until(full)
        await asyncio.sleep(2 * CLAIM_S)

        async def in_hand() -> int:
            rows = await workers.pending()
            return len([row for row in rows if row["consumer"] == b"w1"])

        # what a read without room brought is w1's for a moment
        assert await until(in_hand, lambda count: count <= concurrency) == concurrency
        assert len(engine.calls) == concurrency
        workers.released.set()
        await workers.wait_for_transcripts(*range(9))


async def test_after_an_outage_of_redis_nobody_takes_from_the_living(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RedisServer(options=DURABLE) as server:
        async with running_worker_tasks(server, monkeypatch) as workers:
            await holder(workers, "w1", 0, claim_idle_s=CLAIM_S)
            others = [
                await workers.start(name, claim_idle_s=LONGER_CLAIM_S) for name in ("w2", "w3")
            ]
            server.kill()
            await asyncio.sleep(1.2 * LONGER_CLAIM_S)
            server.start()
            await workers.publish(1, session="other")
            await workers.wait_for_transcripts(1)
            # long enough for a claim of before the outage to look abandoned
            await asyncio.sleep(1.2 * LONGER_CLAIM_S)
            assert [row["consumer"] for row in await workers.pending()] == [b"w1"]
            workers.released.set()
            await workers.wait_for_transcripts(0, 1)
            assert 0 not in others[0].engine.calls + others[1].engine.calls


async def test_what_is_recorded_waits_for_what_is_live(workers: WorkerTasks) -> None:
    worker = await holder(workers, "w1", 0)
    for number in (1, 2, 3):
        await workers.publish(number, session="tape", recording=True)
    for number in (4, 5, 6):
        await workers.publish(number, session="live")
    workers.released.set()
    await workers.wait_for_transcripts(*range(7))
    # the order within the three is nowhere promised: a read without room hands back
    calls = worker.engine.calls
    assert (calls[0], sorted(calls[1:4]), sorted(calls[4:])) == (0, [4, 5, 6], [1, 2, 3])


async def test_recordings_that_a_worker_left_wait_for_what_is_live(workers: WorkerTasks) -> None:
    engine = HookedEngine()
    engine.hooks[1] = workers.hold
    leaving = await workers.start("w1", engine, drain_timeout_s=0.1)
    await workers.publish(1, session="tape", recording=True)
    await until(lambda: engine.calls)
    busy = await holder(workers, "w2", 0)
    await workers.publish(2, session="live")
    await leaving.terminate()
    await workers.publish(3, session="live")
    workers.released.set()
    await workers.wait_for_transcripts(0, 1, 2, 3)
    # which of the live ones is first is nowhere promised: a read without room hands back
    first, *live, last = busy.engine.calls
    assert (first, sorted(live), last) == (0, [2, 3], 1)


async def test_each_utterance_is_transcribed_once_by_however_many(workers: WorkerTasks) -> None:
    started = [await workers.start(f"w{number}") for number in range(4)]
    numbers = range(120)
    for number in numbers:
        await workers.publish(number, session=f"s{number % 12}")
    await workers.wait_for_transcripts(*numbers)
    calls = sorted(call for worker in started for call in worker.engine.calls)
    assert calls == list(numbers)
    by_session: dict[str, list[str]] = {}
    for event in await workers.events(Transcript):
        by_session.setdefault(event.session, []).append(event.data.text)
    assert by_session["s3"] != []
    assert {text for texts in by_session.values() for text in texts} == set(
        map(spoken_text, numbers)
    )


async def test_a_heartbeat_beside_the_settling_takes_nothing_for_lost(
    workers: WorkerTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of the one is on its way while the other finds nothing in hand."""
    beats = 0

    async def counted(*claims: Any) -> set[str]:
        gone = await heartbeat(*claims)
        nonlocal beats
        beats += 1
        return gone

    async def answered_late(*claim: Any, **transcript: Any) -> Settled:
        settled = await settle_utterance(*claim, **transcript)
        before = beats
        await until(lambda: beats >= before + 2)
        return settled

    monkeypatch.setattr(in_hand, "heartbeat", counted)
    monkeypatch.setattr(stt, "settle_utterance", answered_late)
    settled = growth("earshot_settled_total", stage="stt", outcome="ok")
    await workers.start("w1", claim_idle_s=CLAIM_S)
    with capture_logs() as lines:
        await workers.publish(1)
        await until(lambda: settled())
    assert "claim_lost" not in [line["event"] for line in lines]
