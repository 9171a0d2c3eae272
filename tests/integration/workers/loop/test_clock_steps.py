"""The clock of the Redis server may be set back or forth by hours. The work of dead workers is
taken over, sessions are repaired and the turns of silent producers expire within the usual times,
and every turn ends once.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest

from common.events import Skipped, Transcript
from common.keys import Shard
from common.status.worker_record import read_workers
from common.transitions.publishing import Verdict, publish
from common.utterance import Utterance
from ops.bench.chaos.speech import spoken_text
from tests.support.stepped_clock import SteppedRedis
from tests.support.waiting import until
from tests.support.worker_tasks import HookedEngine, WorkerTasks

SHARD: Final = Shard(0)
HOUR_S: Final = 3_600
BACK: Final = [
    -3 * HOUR_S,
    *(pytest.param(step_s, marks=pytest.mark.full) for step_s in (-5 * 60, -30 * 24 * HOUR_S)),
]
CLAIM_S: Final = 2.0


@pytest.fixture
def server() -> Iterator[SteppedRedis]:
    with SteppedRedis() as started:
        yield started


@pytest.fixture
async def workers(server: SteppedRedis) -> AsyncIterator[WorkerTasks]:
    values = {
        "worker": {"claim_idle_s": CLAIM_S},
        "stt": {"concurrency": 2},
        "limits": {"turn_timeout_s": 1, "tend_after_s": 1},
    }
    workers = WorkerTasks(server, values=values)
    yield workers
    await workers.close()


@pytest.mark.parametrize("step_s", BACK)
async def test_the_work_of_a_dead_worker_is_taken_over(
    server: SteppedRedis, workers: WorkerTasks, step_s: int
) -> None:
    engine = HookedEngine()
    engine.hooks = dict.fromkeys((1, 2), workers.hold)
    doomed = await workers.start("w1", engine)
    await workers.publish(1)
    await workers.publish(2, session="other")
    await until(lambda: len(engine.calls) == 2)
    await doomed.kill()
    server.step(step_s)
    other = await workers.start("w2")
    await workers.wait_for_transcripts(1, 2)
    assert sorted(other.engine.calls) == [1, 2]


@pytest.mark.parametrize("step_s", BACK)
async def test_what_was_handed_back_is_taken_at_once(
    server: SteppedRedis, workers: WorkerTasks, step_s: int
) -> None:
    engine = HookedEngine()
    engine.hooks = {1: workers.hold}
    leaving = await workers.start("w1", engine, drain_timeout_s=0.01)
    await workers.publish(1)
    await until(lambda: engine.calls)
    await leaving.terminate()
    assert [row["consumer"] for row in await workers.pending()] == [b"handed-back"]
    server.step(step_s)
    await workers.start("w2", claim_idle_s=600)
    await workers.wait_for_transcripts(1)


@pytest.mark.parametrize("step_s", BACK)
async def test_a_living_worker_keeps_its_work(
    server: SteppedRedis, workers: WorkerTasks, step_s: int
) -> None:
    engine = HookedEngine()
    engine.hooks = {1: workers.hold}
    await workers.start("w1", engine)
    other = await workers.start("w2")
    await workers.publish(1)
    await until(lambda: engine.calls or other.engine.calls)
    holder = "w1" if engine.calls else "w2"
    server.step(step_s)
    await asyncio.sleep(3 * CLAIM_S)
    assert [row["consumer"].decode() for row in await workers.pending()] == [holder]
    workers.released.set()
    await workers.wait_for_transcripts(1)
    assert len(engine.calls + other.engine.calls) == 1


@pytest.mark.parametrize("step_s", BACK)
async def test_a_silent_producers_turn_expires(
    server: SteppedRedis, workers: WorkerTasks, step_s: int
) -> None:
    await workers.start("w1")
    draft = Utterance(id="d", session="s", final=False, audio=b"ab", samples=1, codec="pcm_s16le")
    assert (await publish(workers.store, draft)).verdict is Verdict.ACCEPTED
    server.step(step_s)
    await until(lambda: workers.events(Skipped))
    (skipped,) = await workers.events(Skipped)
    assert skipped.data.reason == "expired"


@pytest.mark.parametrize("step_s", [*BACK, 3 * HOUR_S])
async def test_a_session_is_repaired(
    server: SteppedRedis, workers: WorkerTasks, step_s: int
) -> None:
    redis: Any = workers.store.redis
    await publish(workers.store, Utterance(id="u", session="s", text="Hello"))
    await redis.delete(SHARD.turns)
    server.step(step_s)
    await workers.start("w1")
    await until(lambda: redis.xlen(SHARD.turns))


@pytest.mark.parametrize("step_s", BACK)
async def test_a_dead_worker_is_not_shown_as_living(
    server: SteppedRedis, workers: WorkerTasks, step_s: int
) -> None:
    doomed = await workers.start("w1")
    await workers.start("w2")
    await doomed.kill()
    server.step(step_s)

    async def only_the_living() -> bool:
        return [worker.name for worker in await read_workers(workers.store.redis)] == ["w2"]

    await until(only_the_living)


@pytest.mark.parametrize("steps", [[3 * HOUR_S], [3 * HOUR_S, -3 * HOUR_S], [-HOUR_S, 40 * HOUR_S]])
async def test_every_turn_ends_once_whatever_the_clock_does(
    server: SteppedRedis, workers: WorkerTasks, steps: list[int]
) -> None:
    """A step forth makes work in hand look abandoned: it may be done twice, but it ends once."""
    numbers = range(1, 41)
    for name in ("w1", "w2"):
        await workers.start(name)
    for number in numbers:
        await workers.publish(number, session=f"s{number % 4}")
        if number % 15 == 0 and steps:
            server.step(steps.pop(0))

    async def all_heard() -> bool:
        return len(await workers.events(Transcript)) >= len(numbers)

    await until(all_heard)
    heard = Counter(event.data.text for event in await workers.events(Transcript))
    assert heard == Counter(map(spoken_text, numbers))
