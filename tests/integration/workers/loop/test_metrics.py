"""A worker counts what it takes, tries again, settles and gives up; it says whether it is ready."""

from dataclasses import dataclass
from typing import Any

from common.errors import Transient
from ops.bench.chaos.plan import Kind
from tests.support.metric_samples import Growth, growth, sample
from tests.support.waiting import until
from tests.support.worker_tasks import (
    CLAIM_S,
    HookedEngine,
    WorkerTasks,
    failing,
)
from workers.loop.consumer_loop import ConsumerLoop
from workers.stt.handler import SttHandler


@dataclass
class Counted:
    """What the STT workers of this process have counted since now."""

    def __post_init__(self) -> None:
        self._counters = {
            (name, value): growth(f"earshot_{name}_total", stage="stt", **{label: value})
            for name, label, values in (
                ("deliveries", "kind", ("new", "handed_back", "abandoned", "deferred")),
                ("retries", "reason", ("transient", "server", "failed")),
                ("settled", "outcome", ("ok", "stale", "lost")),
                ("dead_letters", "reason", ("bad_audio", "failed")),
            )
            for value in values
        }

    def so_far(self) -> dict[tuple[str, str], float]:
        return {name: grown() for name, grown in self._counters.items() if grown()}

    def shows(self, **expected: Any) -> Any:
        """Waits until all of these are counted, and nothing else."""
        wanted = {
            (name, value): count
            for name, values in expected.items()
            for value, count in values.items()
        }

        async def look() -> bool:
            return self.so_far() == wanted

        return until(look)


async def test_work_that_fails_and_work_that_is_given_up(workers: WorkerTasks) -> None:
    counted = Counted()
    engine = HookedEngine()
    engine.hooks[1] = failing(RuntimeError("a bug"), times=99)
    engine.hooks[2] = failing(Transient("busy", retry_after=0.01, opens_breaker=False), times=2)
    await workers.publish(1)
    await workers.publish(2)
    await workers.publish(3, kind=Kind.BROKEN)
    await workers.start("w1", engine)
    await workers.wait_for_transcripts(2)
    await counted.shows(
        deliveries={"new": 3, "deferred": 4},
        retries={"failed": 2, "transient": 2},
        settled={"ok": 1},
        dead_letters={"failed": 1, "bad_audio": 1},
    )


async def test_work_that_was_handed_back_and_work_that_was_abandoned(workers: WorkerTasks) -> None:
    counted = Counted()
    engine = HookedEngine()
    engine.hooks[1] = failing(Transient("the GPU fails"), times=1)
    broken = await workers.start("w1", engine)
    engine.probe = failing(Transient("the GPU fails"), times=10_000)
    await workers.publish(1)
    await workers.wait_for_state(broken, "waiting")
    await counted.shows(deliveries={"new": 1}, retries={"server": 1})
    await broken.terminate()
    stuck = HookedEngine()
    stuck.hooks[1] = workers.hold
    dead = await workers.start("w2", stuck)
    await counted.shows(deliveries={"new": 1, "handed_back": 1}, retries={"server": 1})
    await until(lambda: stuck.calls)
    await dead.kill()
    await workers.start("w3", claim_idle_s=CLAIM_S)
    await workers.wait_for_transcripts(1)
    await counted.shows(
        deliveries={"new": 1, "handed_back": 1, "abandoned": 1},
        retries={"server": 1},
        settled={"ok": 1},
    )


async def test_what_it_holds_and_whether_its_server_is_usable_can_be_seen(
    workers: WorkerTasks,
) -> None:
    engine = HookedEngine()
    engine.hooks[1] = workers.hold
    await workers.publish(1)
    worker = await workers.start("w1", engine)
    await until(lambda: engine.calls)
    assert sample("earshot_in_hand_entries", stage="stt") == 1
    assert sample("earshot_breaker_state", stage="stt") == 0
    workers.released.set()
    await workers.wait_for_transcripts(1)
    await until(lambda: sample("earshot_in_hand_entries", stage="stt") == 0)
    await worker.terminate()
    broken = HookedEngine()
    broken.probe = failing(Transient("the GPU fails"), times=10_000)
    await workers.start_broken("w2", broken)
    assert sample("earshot_breaker_state", stage="stt") > 0


async def test_a_worker_says_why_it_is_not_ready(workers: WorkerTasks) -> None:
    engine = HookedEngine()
    handler = SttHandler(workers.store, workers.settings.stt, load=lambda _: engine)
    idle = ConsumerLoop(workers.store, workers.settings, handler, "idle")
    assert await idle.explain_not_ready() == "Redis has not been reached yet"


async def test_an_outage_of_redis_is_counted_when_it_is_over(workers: WorkerTasks) -> None:
    back: Growth = growth("earshot_redis_reconnects_total")
    await workers.start("w1")
    workers.server.stop()
    await until(lambda: sample("earshot_redis_up") == 0)
    assert back() == 0
    workers.server.start()
    await until(lambda: back() >= 1)
    await until(lambda: sample("earshot_redis_up") == 1)
