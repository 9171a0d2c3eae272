"""What comes round does so once, on however many hosts; conversations that ended are summarised."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from structlog.testing import capture_logs

from common.redis.link import Link
from common.redis.store import Store
from common.settings import RedisSettings, Settings
from common.transitions.publishing import publish
from common.utterance import Utterance
from ops.cli.jobs.job_list import list_jobs
from ops.jobs.queues import UPKEEP, find_job, open_queue
from ops.jobs.schedule import Schedule
from tests.support.redis_server import RedisServer
from tests.support.waiting import until


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator["Redis"]:
    with redis_server.sync_client() as client:
        yield client


class Clock:
    now = 7_200.0

    def __call__(self) -> float:
        return self.now


def schedule(
    store: Store, client: "Redis", clock: Clock, passing: Clock | None = None, **jobs: Any
) -> Schedule:
    link = Link(store.redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.05)
    settings = Settings.model_construct()
    mine = settings.model_copy(update={"jobs": settings.jobs.model_copy(update=jobs)})
    return Schedule(mine, store, link, client, wall=clock, clock=passing or clock)


async def test_a_sweep_is_asked_for_once_an_hour_by_whoever_is_first(
    store: Store, client: "Redis"
) -> None:
    clock = Clock()
    one, other = schedule(store, client, clock), schedule(store, client, clock)
    for _ in range(2):
        one.tick()
        other.tick()
    assert open_queue(UPKEEP, client).get_job_ids() == ["sweep-2"]
    clock.now += 3_600
    other.tick()
    one.tick()
    assert open_queue(UPKEEP, client).get_job_ids() == ["sweep-2", "sweep-3"]
    job = find_job(client, "sweep-3")
    assert job is not None
    assert client.hget(job.key, "data"), "RQ has it compressed"
    assert (job.func_name, job.kwargs) == ("sweep", {})


async def test_the_remains_of_a_job_are_in_nobodys_way(store: Store, client: "Redis") -> None:
    """A hash without a job in it, and what something else put there."""
    client.hset("rq:job:sweep-2", "meta", "{}")
    client.rpush("rq:queue:" + UPKEEP, "sweep-1")
    client.hset("rq:job:sweep-1", "meta", "{}")
    Queue(UPKEEP, connection=client).enqueue_call("os.getcwd", job_id="pickled")
    client.rpush("rq:queue:" + UPKEEP, "strange")
    client.hset("rq:job:strange", mapping={"data": "x", "status": "no such status"})
    schedule(store, client, Clock()).tick()
    assert [job.job for job in list_jobs(client)] == ["sweep-2"]
    assert not client.exists("rq:job:sweep-1"), "nobody stumbles over it again"
    assert client.exists("rq:job:pickled"), "that is somebody else's"


async def test_what_nobody_expected_does_not_end_the_schedule(
    store: Store, client: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    planned = schedule(store, client, clock)

    def fail() -> None:
        raise RuntimeError("nobody expected that")

    monkeypatch.setattr(planned._scheduler, "enqueue_scheduled_jobs", fail)
    with capture_logs() as logged:
        running = asyncio.create_task(planned.run())
        await until(lambda: logged)
        clock.now += 3_600
        await until(lambda: open_queue(UPKEEP, client).get_job_ids() == ["sweep-2", "sweep-3"])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [line["event"] for line in logged] == ["schedule_failed"]


async def test_a_job_that_nobody_can_read_is_replaced(store: Store, client: "Redis") -> None:
    client.hset("rq:job:sweep-2", mapping={"data": "x", "status": "no such status"})
    client.set("rq:job:due", "no hash")
    client.zadd(f"rq:scheduled:{UPKEEP}", {"due": 1, "../x": 1, "also-due": 1})
    client.hset("rq:job:also-due", mapping={"data": "x", "created_at": "yesterday"})
    schedule(store, client, Clock()).tick()
    assert [job.job for job in list_jobs(client)] == ["sweep-2"]
    assert client.zcard(f"rq:scheduled:{UPKEEP}") == 0


async def test_a_conversation_that_ended_is_summarised(store: Store, client: "Redis") -> None:
    redis: Any = store.redis
    await publish(store, Utterance(id="u", session="s", text="hi"))
    epoch = (await redis.hget("earshot:{0}:session:s", "epoch")).decode()
    await redis.xadd(
        "earshot:{0}:results",
        {"v": 1, "type": "reply", "session": "s", "epoch": epoch, "turn": 1, "id": "u", "at": 1,
         "data": '{"text": "Hello."}'},
    )  # fmt: skip
    running = asyncio.create_task(
        schedule(store, client, Clock(), summaries=True, summary_quiet_s=60).run()
    )
    of = open_queue(UPKEEP, client)
    await until(lambda: [name for name in of.get_job_ids() if name.startswith("summary-")])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    (identity,) = (name for name in of.get_job_ids() if name.startswith("summary-"))
    job = find_job(client, identity)
    assert job is not None
    assert job.kwargs == {"session": "s", "epoch": int(epoch), "turn": 1}
