"""SIGTERM: a worker finishes what it has in hand, hands back what it cannot, leaves no trace, and
exits with 0; a second signal makes it exit now. Each worker is a process of its own.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from common.keys import HANDED_BACK, STT_GROUP, WORKERS, Shard
from common.redis.store import Store
from common.settings import LimitSettings
from common.transitions.publishing import publish
from ops.bench.chaos.plan import Kind, PlannedUtterance
from ops.bench.chaos.speech import InstantEngine, make_utterance
from tests.support.redis_server import RedisServer
from tests.support.repository import ROOT
from tests.support.waiting import until_sync

PATIENCE_S = 60.0
SHARD = Shard(0)


class Workers:
    """Worker processes on one Redis."""

    def __init__(self, server: RedisServer) -> None:
        self.redis: Any = server.sync_client()
        self.server = server

    @contextmanager
    def running(
        self, *, slow_s: float = 0.0, ready: bool = True, **settings: float
    ) -> Iterator["subprocess.Popen[str]"]:
        """A worker whose engine takes so long; `settings` are those of EARSHOT_WORKER__."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("EARSHOT_")}
        env |= {
            "EARSHOT_REDIS__URL": self.server.unix_url,
            "EARSHOT_STT__MODEL": InstantEngine.name,
            # handed back is what goes on elsewhere, not reclaimed
            "EARSHOT_WORKER__CLAIM_IDLE_S": "600",
            **{f"EARSHOT_WORKER__{name.upper()}": str(value) for name, value in settings.items()},
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "ops.bench.chaos.worker", "stt", "--slow-s", str(slow_s)],
            cwd=ROOT,
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            if ready:
                until_sync(lambda: str(process.pid) in self.said("ready"))
            yield process
        finally:
            process.kill()
            process.communicate()

    def said(self, state: str) -> str:
        """The pids of the workers that say that they are in this state."""
        keys = self.redis.keys("earshot:worker:*")
        found = [raw.decode() for raw in self.redis.mget(keys) if raw] if keys else []
        return " ".join(one for one in found if f'"state": "{state}"' in one)

    def publish(self, number: int) -> None:
        utterance = make_utterance(
            PlannedUtterance(number, "s", 0.0, Kind.SPEECH), InstantEngine.name
        )

        async def send() -> None:
            async with self.server.client() as client:
                await publish(Store(client, 1, LimitSettings()), utterance)

        asyncio.run(send())

    def pending(self) -> list[tuple[str, int]]:
        """(consumer, deliveries) of each claim."""
        rows = self.redis.xpending_range(SHARD.utterances, STT_GROUP, "-", "+", 10)
        return [(row["consumer"].decode(), row["times_delivered"]) for row in rows]

    def in_hand(self) -> bool:
        return any(consumer != HANDED_BACK for consumer, _ in self.pending())

    def endings(self) -> list[str]:
        kinds = [fields[b"type"].decode() for _, fields in self.redis.xrange(SHARD.results)]
        return [kind for kind in kinds if kind != "heard"]

    def consumers(self) -> list[str]:
        return [
            row["name"].decode() for row in self.redis.xinfo_consumers(SHARD.utterances, STT_GROUP)
        ]


@pytest.fixture
def workers(redis_server: RedisServer) -> Iterator[Workers]:
    workers = Workers(redis_server)
    yield workers
    workers.redis.close()


def test_what_is_in_hand_is_finished_and_nothing_is_left_of_the_worker(workers: Workers) -> None:
    with workers.running(slow_s=1.0) as process:
        workers.publish(1)
        until_sync(workers.in_hand)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert workers.endings() == ["transcript"]
    assert workers.pending() == []
    assert workers.consumers() == []
    assert workers.redis.zcard(WORKERS) == 0
    assert workers.redis.keys("earshot:worker:*") == []


def test_what_cannot_be_finished_in_time_is_done_by_another_at_once(workers: Workers) -> None:
    with workers.running(slow_s=30.0, drain_timeout_s=0.2) as slow:
        workers.publish(1)
        until_sync(workers.in_hand)
        slow.send_signal(signal.SIGTERM)
        assert slow.wait(20) == 0, "it does not wait for its engine"
        assert workers.pending() == [(HANDED_BACK, 0)]
        with workers.running():
            until_sync(workers.endings)
    assert workers.endings() == ["transcript"]


def test_a_second_signal_makes_it_exit_now(workers: Workers) -> None:
    with workers.running(slow_s=30.0, drain_timeout_s=60.0) as process:
        workers.publish(1)
        until_sync(workers.in_hand)
        process.send_signal(signal.SIGTERM)
        until_sync(lambda: workers.said("draining"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 130
    assert workers.in_hand(), "it is reclaimed after claim_idle"


def test_one_that_still_waits_for_redis_leaves_too(workers: Workers) -> None:
    workers.server.kill()
    with workers.running(ready=False) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "redis_is_away" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
