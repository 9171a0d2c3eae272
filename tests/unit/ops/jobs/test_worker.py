"""A jobs worker runs what it knows and nothing else, unpickles nothing, tries again what was killed
and not what cannot succeed, and takes over from a worker that died.

Real worker processes on a real Redis.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.job import JobStatus

from common.redis.link import Link
from common.redis.store import Store
from common.settings import PREFIX, JobSettings, ListenSettings, RedisSettings, Settings
from common.utterance import Utterance
from ops.cli.jobs.job_list import cancel, list_jobs
from ops.cli.jobs.job_state import read_state
from ops.jobs.queues import UPKEEP, enqueue, find_job, has_worker, open_queue
from ops.jobs.registry import EarshotJob
from ops.jobs.schedule import Schedule
from producer.shipping.outbox_folder import open_outbox
from tests.support.metric_samples import growth
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync

SETTINGS = JobSettings(retries=2)


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator["Redis"]:
    with redis_server.sync_client() as client:
        yield client


@contextmanager
def worker(server: RedisServer, folder: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    own = {
        "EARSHOT_REDIS__URL": server.url,
        "EARSHOT_JOBS__BEAT_S": "1",
        "EARSHOT_JOBS__FOLDER": str(folder),
        "EARSHOT_LISTEN__OUTBOX": str(folder / "outbox"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.jobs.worker", UPKEEP],
        env=outside | own | more,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def status(client: "Redis", job: str) -> JobStatus | None:
    found = find_job(client, job)
    return None if found is None else found.get_status(refresh=False)


def ask(client: "Redis", job: str, kind: str = "sweep", **arguments: Any) -> EarshotJob:
    made, is_new = enqueue(client, SETTINGS, kind, job, arguments, again="never")
    assert is_new
    return made


class Bomb:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


def test_only_known_jobs_run_nothing_is_unpickled_and_what_cannot_succeed_is_not_tried_again(
    redis_server: RedisServer, client: "Redis", tmp_path: Path
) -> None:
    bombs = [tmp_path / name for name in ("data", "meta", "result", "function", "callback")]
    foreign = Queue(UPKEEP, connection=client)  # with RQ's own serializer and job class
    for path, place in zip(bombs[:3], ("data", "meta", "result"), strict=True):
        job = foreign.enqueue_call("os.getcwd", job_id=f"pickled-{place}")
        client.hset(job.key, place, pickle.dumps(Bomb(path)))
    open_queue(UPKEEP, client).enqueue_call("os.mkdir", args=[str(bombs[3])], job_id="function")
    ask(client, "callback", "no-such-kind")
    client.hset("rq:job:callback", "failure_callback_name", "os.mkdir")
    ask(client, "bad", "export", output="nowhere/x.csv", format="csv", since="0-0")
    ask(client, "good")
    with worker(redis_server, tmp_path) as process:
        until_sync(lambda: status(client, "good") is JobStatus.FINISHED)
        process.send_signal(signal.SIGTERM)
        _, logged = process.communicate(timeout=30)
        assert process.returncode == 0
    assert not [path.name for path in bombs if path.exists()]
    for name in ("function", "callback", "pickled-data"):
        assert status(client, name) is JobStatus.FAILED, name
    assert "there is no job 'no-such-kind'" in read_state(client, "callback", "sweep").error
    bad = read_state(client, "bad", "export")
    nowhere = tmp_path / "nowhere"
    assert bad.error == f"{nowhere}/x.csv cannot be written: there is no folder {nowhere}"
    assert logged.count("job_failed") == 1


def test_a_job_whose_package_is_missing_says_so_once(
    redis_server: RedisServer, client: "Redis", tmp_path: Path
) -> None:
    missing = "raise ModuleNotFoundError(\"No module named 'openai'\", name='openai')"
    (tmp_path / "openai.py").write_text(missing)
    ask(client, "short", "summary", session="kitchen", epoch=1)
    with worker(redis_server, tmp_path, PYTHONPATH=str(tmp_path)) as process:
        until_sync(lambda: status(client, "short") is JobStatus.FAILED)
        process.send_signal(signal.SIGTERM)
        _, logged = process.communicate(timeout=30)
    error = read_state(client, "short", "summary").error
    assert error == "openai is not installed here: pip install 'earshot[llm]'"
    assert logged.count("job_failed") == 1


def held_up(client: "Redis", job: str) -> None:
    """A replay for which there is no room goes on for ever."""
    client.set("earshot:{0}:utterances", "in the way")
    client.xadd("earshot:{0}:dead", {"session": "s", "id": "u", "text": "hi"})
    client.delete("earshot:{0}:utterances")
    client.hset("earshot:{0}:session:s", mapping={"last": 200, "done": 0, "epoch": 1})
    ask(client, job, "replay", reason=None)


def test_a_job_goes_on_elsewhere_when_its_worker_is_killed_or_leaves(
    redis_server: RedisServer, client: "Redis", tmp_path: Path
) -> None:
    held_up(client, "long")

    def waits() -> bool:
        return "unanswered turns" in str(read_state(client, "long", "replay").progress.get("text"))

    with worker(redis_server, tmp_path) as first:
        until_sync(waits)
        assert has_worker("replay", client)
        first.kill()
        first.wait()
    with worker(redis_server, tmp_path) as second:
        found = find_job(client, "long")
        assert found is not None
        dead = found.worker_name
        until_sync(
            lambda: (now := find_job(client, "long")) is not None and now.worker_name != dead
        )
        until_sync(lambda: status(client, "long") is JobStatus.STARTED)
        second.send_signal(signal.SIGTERM)
        second.communicate(timeout=30)
        assert second.returncode == 0
    left = find_job(client, "long")
    assert left is not None
    assert left.get_status(refresh=False) is JobStatus.QUEUED
    assert left.retries_left == SETTINGS.retries - 1, "leaving in good order cost a try"


def test_a_job_whose_worker_died_is_cancelled_when_that_is_known(
    redis_server: RedisServer, client: "Redis", tmp_path: Path
) -> None:
    held_up(client, "long")
    with worker(redis_server, tmp_path) as dies:
        until_sync(
            lambda: "unanswered" in str(read_state(client, "long", "replay").progress.get("text"))
        )
        dies.kill()
        dies.wait()
    found = find_job(client, "long")
    assert found is not None
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        """Its signs of life expire, which they do by themselves some seconds later."""
        waited.append(seconds)
        client.delete(f"rq:worker:{found.worker_name}")

    cancel(client, "long", sleep=sleep)
    assert len(waited) == 1, "it might have been alive"
    assert read_state(client, "long", "replay").state == "cancelled"
    with worker(redis_server, tmp_path):
        ask(client, "next")
        until_sync(lambda: status(client, "next") is JobStatus.FINISHED)
    assert read_state(client, "long", "replay").state == "cancelled", "nobody takes it up again"


def test_a_job_that_waits_for_the_llm_server_says_so(
    redis_server: RedisServer, client: "Redis", tmp_path: Path
) -> None:
    said: dict[Any, Any] = {"session": "s", "epoch": 1, "turn": 1, "id": "u", "at": 1}
    said |= {"v": 1, "type": "transcript", "data": '{"text": "Hello."}'}
    client.xadd("earshot:{0}:results", said)
    ask(client, "sum", "summary", session="s", epoch=1, turn=1)
    with worker(redis_server, tmp_path, EARSHOT_LLM__BASE_URL="http://127.0.0.1:1/v1"):
        until_sync(lambda: read_state(client, "sum", "summary").state == "waits to run again")
    waits_for = read_state(client, "sum", "summary").progress["waits_for"]
    assert "127.0.0.1:1" in waits_for
    (job,) = list_jobs(client)
    assert job.cells()[3] == f"waits: {waits_for}"


def test_the_same_job_is_in_the_queue_once(client: "Redis") -> None:
    ask(client, "one")
    again, is_new = enqueue(client, SETTINGS, "sweep", "one", {}, again="always")
    assert (again.id, is_new) == ("one", False)
    assert open_queue(UPKEEP, client).count == 1
    assert read_state(client, "one", "sweep").state == "waits: no `earshot jobs` is running"
    assert read_state(client, "none", "sweep").ended


def test_what_a_sweep_dropped_is_counted_once_where_prometheus_asks(
    redis_server: RedisServer, client: "Redis", store: Store, tmp_path: Path
) -> None:
    with open_outbox(ListenSettings(outbox_max_age_s=1e9), "s1", tmp_path / "outbox") as outbox:
        outbox.add(Utterance(id="a", session="s1", samples=1, audio=b"x"), age_s=1e8)
    link = Link(store.redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.05)
    one, other = (
        Schedule(Settings.model_construct(), store, link, client, wall=lambda: 7_200.0)
        for _ in range(2)
    )
    counted = growth("earshot_outbox_dropped_total")
    one.tick()
    with worker(redis_server, tmp_path):
        until_sync(lambda: status(client, "sweep-2") is JobStatus.FINISHED)
    for schedule in (other, one, one):
        schedule.tick()
    assert counted() == 1
