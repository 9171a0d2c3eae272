"""Sweeps go on, about one each time they are due, whatever the wall clocks of the hosts do; and a
conversation has ended soon after its last event, whatever the clock of Redis does.
"""

import itertools
from collections.abc import Iterator
from typing import Final

import pytest
from redis import Redis

from common.events import parse_event
from common.redis.link import Link
from common.redis.store import Store
from common.settings import RedisSettings, Settings
from ops.jobs.conversation_end import EndDetector, EndedConversation
from ops.jobs.queues import UPKEEP, find_job, open_queue
from ops.jobs.schedule import LATE, Schedule
from tests.support.redis_server import RedisServer

EVERY_S: Final = 3_600
START_S: Final = 1_000 * EVERY_S
STEP_S: Final = 600
LONGEST_S: Final = LATE * EVERY_S + STEP_S


class Host:
    """A host of the schedule. Its wall clock may be set; time passes all the same."""

    def __init__(self, store: Store, client: "Redis") -> None:
        self.wall_s = float(START_S)
        self.passed_s = 5.0
        self._store = store
        self._client = client
        self.schedule = self._make()

    def _make(self) -> Schedule:
        link = Link(self._store.redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.05)
        return Schedule(
            Settings.model_construct(),
            self._store,
            link,
            self._client,
            wall=lambda: self.wall_s,
            clock=lambda: self.passed_s,
        )

    def restart(self) -> None:
        self.schedule = self._make()

    def pass_time(self, seconds: float) -> list[float]:
        """Let time pass in steps, each with a tick; return when a sweep was asked for."""
        asked = [self.passed_s]
        before = sweeps(self._client)
        for _ in range(round(seconds / STEP_S)):
            self.wall_s += STEP_S
            self.passed_s += STEP_S
            self.schedule.tick()
            if sweeps(self._client) > before:
                before = sweeps(self._client)
                asked.append(self.passed_s)
        return asked


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator["Redis"]:
    with redis_server.sync_client() as client:
        yield client


def longest_gap(times: list[float]) -> float:
    return max(after - before for before, after in itertools.pairwise(times))


def sweeps(client: "Redis") -> int:
    return len(open_queue(UPKEEP, client).get_job_ids())


@pytest.mark.parametrize("back_s", [90, 3 * EVERY_S, 500 * EVERY_S])
async def test_sweeps_go_on_after_the_clock_was_set_back(
    store: Store, client: "Redis", back_s: int
) -> None:
    host = Host(store, client)
    assert longest_gap(host.pass_time(5 * EVERY_S)) == EVERY_S
    host.wall_s -= back_s
    times = host.pass_time(8 * EVERY_S)
    assert longest_gap(times) <= LONGEST_S
    assert len(times) <= 10


async def test_they_go_on_if_it_was_set_back_while_no_schedule_ran(
    store: Store, client: "Redis"
) -> None:
    host = Host(store, client)
    host.pass_time(5 * EVERY_S)
    host.wall_s -= 4 * EVERY_S
    host.restart()
    assert longest_gap(host.pass_time(6 * EVERY_S)) <= LONGEST_S


async def test_several_hosts_do_not_sweep_more_often(store: Store, client: "Redis") -> None:
    """Also if one of them has a clock that was set back."""
    hosts = [Host(store, client) for _ in range(3)]
    hosts[0].wall_s -= 4 * EVERY_S
    for _ in range(5 * EVERY_S // STEP_S):
        for host in hosts:
            host.pass_time(STEP_S)
    assert 5 <= sweeps(client) <= 5 + 1 + 4, "the numbers before the start are new"


async def test_a_clock_that_is_set_forward_makes_one_sweep_due(
    store: Store, client: "Redis"
) -> None:
    host = Host(store, client)
    host.pass_time(STEP_S)
    host.wall_s += 50 * EVERY_S
    host.pass_time(2 * STEP_S)
    assert sweeps(client) == 2
    assert find_job(client, f"sweep-{START_S // EVERY_S + 50}") is not None


@pytest.mark.parametrize("back_ms", [10_000, 3_600_000])
def test_a_conversation_ends_although_its_last_event_is_from_the_future(back_ms: int) -> None:
    detector = EndDetector(quiet_ms=1_000)
    fields = {"v": 1, "type": "reply", "session": "s", "epoch": 7, "turn": 3, "id": "u"}
    named = fields | {"at": 50_000_000, "data": '{"text": "Hi."}'}
    detector.note(
        parse_event({name.encode(): str(value).encode() for name, value in named.items()})
    )
    now_ms = 50_000_000 - back_ms
    assert detector.take_ended(now_ms) == []
    assert detector.take_ended(now_ms + 999) == []
    assert detector.take_ended(now_ms + 1_000) == [EndedConversation("s", 7, 3)]
