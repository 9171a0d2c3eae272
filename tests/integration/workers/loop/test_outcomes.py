"""What cannot succeed is buried at once, what fails without a cause after some tries, and what
waits for a server never: not buried, not counted, and done when the server is back.
"""

import math
import threading
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.errors import Busy, Transient
from common.events import Error, Transcript
from common.keys import HANDED_BACK, STT_GROUP
from common.redis.store import Store
from common.transitions.claims import Claim, Settled
from common.transitions.transcribing import bury_utterance
from ops.bench.chaos.plan import Kind
from ops.bench.chaos.speech import spoken_text
from tests.support.metric_samples import growth
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tests.support.worker_tasks import (
    CLAIM_S,
    HookedEngine,
    WorkerTasks,
    failing,
    running_worker_tasks,
)
from workers.loop import delivery_runner
from workers.stt import handler as stt


async def test_broken_audio_is_buried_at_once_and_the_next_is_heard(workers: WorkerTasks) -> None:
    await workers.publish(1, kind=Kind.BROKEN)
    await workers.publish(2)
    await workers.start("w1")
    await workers.wait_for_transcripts(2)
    [error] = await workers.events(Error)
    [letter] = await workers.dead_letters()
    assert (error.turn, error.data.reason, error.data.deliveries) == (1, "bad_audio", 1)
    assert (letter["id"], letter["reason"], letter["worker"]) == ("chaos-1", "bad_audio", "w1")


async def test_a_bug_is_tried_again_and_then_buried(workers: WorkerTasks) -> None:
    engine = HookedEngine()
    engine.hooks[1] = failing(RuntimeError("a bug"), times=99)
    await workers.start("w1", engine)
    await workers.publish(1)
    await until(workers.dead_letters)
    assert engine.calls == [1, 1, 1]
    [letter] = await workers.dead_letters()
    assert (letter["reason"], letter["deliveries"]) == ("failed", "3")
    assert letter["error"] == "RuntimeError: a bug"


async def test_a_bug_that_passes_buries_nothing(workers: WorkerTasks) -> None:
    engine = HookedEngine()
    engine.hooks[1] = failing(RuntimeError("a bug"), times=2)
    await workers.start("w1", engine)
    await workers.publish(1)
    await workers.wait_for_transcripts(1)
    assert engine.calls == [1, 1, 1]
    assert await workers.dead_letters() == []


async def test_an_error_of_the_operating_system_is_a_bug_and_no_outage_of_redis(
    workers: WorkerTasks,
) -> None:
    engine = HookedEngine()
    engine.hooks[1] = failing(FileNotFoundError("no such file"), times=99)
    await workers.start("w1", engine)
    await workers.publish(1)
    await until(workers.dead_letters)
    assert engine.calls == [1, 1, 1]
    [letter] = await workers.dead_letters()
    assert (letter["reason"], letter["error"]) == ("failed", "FileNotFoundError: no such file")


async def test_what_another_took_in_the_meantime_is_not_told_as_buried(
    workers: WorkerTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def seized_before(store: Store, claim: Claim, **letter: Any) -> Settled:
        await store.redis.xclaim(claim.stream, STT_GROUP, "w2", 0, [claim.entry])
        return await bury_utterance(store, claim, **letter)

    monkeypatch.setattr(stt, "bury_utterance", seized_before)
    counted = growth("earshot_dead_letters_total", stage="stt", reason="bad_audio")
    with capture_logs() as lines:
        await workers.publish(1, kind=Kind.BROKEN)
        await workers.start("w1")
        await until(lambda: [line for line in lines if line["event"] == "claim_lost"])
    assert "buried" not in [line["event"] for line in lines]
    assert counted() == 0
    assert await workers.dead_letters() == []


async def test_what_cannot_be_buried_is_not_told_as_buried(workers: WorkerTasks) -> None:
    await workers.store.redis.set(workers.store.all_shards()[0].dead, "a foreign value")
    counted = growth("earshot_dead_letters_total", stage="stt", reason="bad_audio")
    with capture_logs() as lines:
        await workers.publish(1, kind=Kind.BROKEN)
        await workers.start("w1", claim_idle_s=CLAIM_S)
        await until(lambda: [line for line in lines if line["event"] == "cannot_bury"])
    assert "buried" not in [line["event"] for line in lines]
    assert counted() == 0
    await workers.store.redis.delete(workers.store.all_shards()[0].dead)
    await until(workers.dead_letters)


async def test_no_server_makes_a_worker_wait_for_ever(
    workers: WorkerTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_runner, "LONGEST_WISH_S", 0.01)
    engine = HookedEngine()
    for number, wish_s in enumerate((1e9, math.inf, math.nan), start=1):
        engine.hooks[number] = failing(
            Transient("later", retry_after=wish_s, opens_breaker=False), times=1
        )
        await workers.publish(number)
    await workers.start("w1", engine)
    await workers.wait_for_transcripts(1, 2, 3)


async def test_what_only_has_to_wait_is_not_counted(workers: WorkerTasks) -> None:
    """More often than an entry may fail."""
    engine = HookedEngine()
    engine.hooks[1] = failing(Busy("no room just now", retry_after=0.01), times=5)
    await workers.start("w1", engine)
    await workers.publish(1)
    await workers.wait_for_transcripts(1)
    assert engine.calls == [1] * 6
    assert await workers.dead_letters() == []


async def test_with_its_server_away_a_worker_gives_back_and_another_takes_at_once(
    workers: WorkerTasks,
) -> None:
    unusable = HookedEngine()
    unusable.hooks[1] = failing(Transient("the GPU fails"), times=99)
    unusable.probe = failing(Transient("the GPU fails"), times=10_000)
    broken = await workers.start_broken("w1", unusable)
    sound = await workers.start("w2")
    said = await workers.wait_for_state(broken, "waiting")
    assert said["waits_for"] == "the GPU fails"
    for number in range(1, 6):
        await workers.publish(number)
    await workers.wait_for_transcripts(1, 2, 3, 4, 5)
    assert unusable.calls == []
    # what the other's last read brought it comes back a moment later
    assert sorted(sound.engine.calls) == [1, 2, 3, 4, 5]


async def test_the_one_that_met_the_outage_is_handed_back_uncounted(workers: WorkerTasks) -> None:
    engine = HookedEngine()
    engine.hooks[1] = failing(Transient("the GPU fails"), times=1)
    worker = await workers.start("w1", engine)
    engine.probe = failing(Transient("the GPU fails"), times=10_000)
    await workers.publish(1)
    await workers.wait_for_state(worker, "waiting")

    async def handed_back() -> bool:
        return [row["consumer"] for row in await workers.pending()] == [HANDED_BACK.encode()]

    await until(handed_back)
    assert [row["times_delivered"] for row in await workers.pending()] == [0]
    sound = await workers.start("w2")
    await workers.wait_for_transcripts(1)
    assert sound.engine.calls == [1]


async def test_while_the_server_is_away_nothing_is_taken_counted_or_buried(
    workers: WorkerTasks,
) -> None:
    away = threading.Event()
    away.set()
    engine = HookedEngine()

    def fail_while_away() -> None:
        if away.is_set():
            raise Transient("the GPU fails")

    engine.probe = fail_while_away
    for number in range(1, 9):
        engine.hooks[number] = fail_while_away
    worker = await workers.start_broken("w1", engine)
    for number in range(1, 9):
        await workers.publish(number)
    asked = engine.probes
    await until(lambda: engine.probes > asked + 3)
    assert engine.calls == []
    assert await workers.pending() == []
    away.clear()
    await workers.wait_for_transcripts(*range(1, 9))
    turns = [event.turn for event in await workers.events(Transcript)]
    assert turns == sorted(turns)
    assert await workers.dead_letters() == []
    await workers.wait_for_state(worker, "ready")


async def test_after_an_outage_one_piece_of_work_tries_first(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_worker_tasks(redis_server, monkeypatch, stt={"concurrency": 4}) as workers:
        engine = HookedEngine()
        engine.probe = failing(Transient("the GPU fails"), times=2)
        release = threading.Event()

        def hold() -> None:
            assert release.wait(30)

        for number in range(1, 9):
            engine.hooks[number] = hold
        workers.start_without_waiting("w1", engine)
        for number in range(1, 9):
            await workers.publish(number)
        await until(lambda: engine.calls)
        asked = engine.probes
        await until(workers.pending)
        assert len(engine.calls) == 1
        assert len(await workers.pending()) == 1
        release.set()
        await workers.wait_for_transcripts(*range(1, 9))
        assert engine.probes == asked


async def test_a_result_that_came_too_late_changes_nothing_and_says_so_once(
    workers: WorkerTasks,
) -> None:
    engine = HookedEngine()
    engine.hooks[1] = workers.hold
    # It notices by a heartbeat, at every quarter of its claim. After a whole claim it would take
    # the utterance back from w2.
    await workers.start("w1", engine, claim_idle_s=8.0)
    await workers.publish(1)
    await until(lambda: engine.calls)
    [row] = await workers.pending()
    stream = workers.store.all_shards()[0].utterances
    await workers.store.redis.xclaim(stream, "stt", "w2", 0, [row["message_id"]])
    with capture_logs() as lines:
        await until(lambda: [line for line in lines if line["event"] == "claim_lost"])
        workers.released.set()
        await workers.publish(2)
        await workers.wait_for_transcripts(2)
    assert [line["event"] for line in lines].count("claim_lost") == 1
    [row] = await workers.pending()
    assert row["consumer"] == b"w2"
    assert spoken_text(1) not in await workers.transcripts()
