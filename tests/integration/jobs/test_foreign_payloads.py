"""Who may write into RQ's Redis runs no code of their own, and a job that nobody can read holds up
no other. The jobs are written by hand, as another program would."""

import json
import os
import pickle
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from redis import Redis

from tests.support.command_line import CommandProcesses
from tests.support.foreign_jobs import ENDED, end, export, push, running_jobs
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def folder(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of jobs that run."""
    with running_jobs(server, tmp_path_factory.mktemp("home")) as folder:
        yield folder


@pytest.fixture
def client(server: RedisServer) -> Iterator["Redis"]:
    with server.sync_client() as client:
        yield client


@pytest.mark.parametrize("job", ["../../x", "a\nb", "\u00fc", "a b"])
def test_an_id_that_is_none_is_left_out_and_the_next_job_is_done(
    job: str, client: "Redis", folder: Path
) -> None:
    push(client, "export", export("by-id.jsonl"), job=job)
    assert end(client, push(client, "export", export("next.jsonl"))) == ("finished", "")
    assert not (folder / "by-id.jsonl").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "weird"},
        {"created_at": "yesterday"},
        {"timeout": "x"},
        {"result_ttl": "x"},
        {"retry_intervals": "{"},
        {"dependency_ids": "1"},
        {"dependency_ids": '["a"]', "status": "deferred"},
        {"rate_limit_key": "a", "rate_limit_concurrency": "1"},
        {"repeats_left": "9", "repeat_intervals": "1"},
        {"group_id": "\u00fc"},
        {"data": b"["},
        {"origin": "\u00fc/.."},
    ],
)
def test_a_job_that_nobody_can_read_holds_up_no_other(
    fields: dict[str, str], client: "Redis", folder: Path
) -> None:
    push(client, "sweep", {}, **fields)
    client.set("rq:job:no-hash", "text")
    client.rpush("rq:queue:earshot-upkeep", "no-hash")
    client.zadd("rq:scheduled:earshot-upkeep", {push(client, "sweep", {}, **fields): 1})
    client.zadd("rq:wip:earshot-upkeep", {push(client, "sweep", {}, **fields): 1})
    later = push(client, "sweep", {}, job=f"later-{len(str(fields))}", status="scheduled")
    client.lrem("rq:queue:earshot-upkeep", 1, later)
    client.zadd("rq:scheduled:earshot-upkeep", {later: 1})
    assert end(client, push(client, "sweep", {}))[0] == "finished"
    assert end(client, later)[0] == "finished"


@pytest.mark.parametrize(
    "call",
    [
        ["os.mkdir", None, ["{mark}"], {}],
        ["os.mkdir", None, [], {"path": "{mark}"}],
        ["subprocess.run", None, [["mkdir", "{mark}"]], {}],
        ["builtins.eval", None, ["__import__('os').mkdir('{mark}')"], {}],
        ["ops.jobs.execution.run_job", None, [None, "os"], {}],
        ["export", "os", [], {}],
        ["export", None, ["{mark}"], {}],
        ["export", None, [], {"module": "antigravity", "job": None}],
        ["export", None, [], ["output"]],
        ["export", None, [], None],
        ["__init__", None, [], {}],
        [["export"], None, [], {}],
        [{"a": 1}, None, [], {}],
        [None, None, [], {}],
        "export",
        {},
        [],
    ],
)
def test_no_function_but_the_jobs_own_is_called(
    call: Any, client: "Redis", tmp_path: Path, folder: Path
) -> None:
    mark = tmp_path / "called"
    data = json.dumps(call).replace("{mark}", str(mark)).encode()
    identity = push(client, "export", {}, data=data, retries_left=3)
    assert end(client, identity)[0] == "failed"
    assert not mark.exists()


class Bomb:
    """What makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


def test_nothing_is_unpickled_wherever_rq_looks(
    client: "Redis", tmp_path: Path, folder: Path
) -> None:
    marks = {}
    ids = []

    def bomb(place: str) -> bytes:
        marks[place] = tmp_path / place
        return pickle.dumps(Bomb(marks[place]))

    ids.append(push(client, "sweep", {}, data=bomb("data")))
    for field in ("meta", "result"):
        fields = {field: bomb(field), "result_ttl": 0, "group_id": "g"}
        ids.append(push(client, "sweep", {}, job=f"bomb-{field}", **fields))
    push(client, "sweep", {}, exc_info=bomb("exc_info"))  # which is left out
    for place in ("dependent", "grouped", "scheduled", "started", "finished", "deferred"):
        client.hset(
            f"rq:job:{place}",
            mapping={"data": bomb(place), "status": "deferred", "origin": "earshot-upkeep"},
        )
    client.sadd("rq:job:last:dependents", "dependent")
    client.hset("rq:job:dependent", "dependency_ids", json.dumps(["last"]))
    client.sadd("rq:groups", "g")
    client.sadd("rq:group:g", "grouped", "bomb-meta")
    client.zadd("rq:scheduled:earshot-upkeep", {"scheduled": 1})
    client.zadd("rq:wip:earshot-upkeep", {"started:0123": 1})
    client.zadd("rq:finished:earshot-upkeep", {"finished": 1})
    client.zadd("rq:deferred:earshot-upkeep", {"deferred": 1})
    for identity in ids:
        until_sync(
            lambda identity=identity: client.hget(f"rq:job:{identity}", "status"),  # type: ignore[misc]
            lambda seen: seen in (None, *ENDED),
        )
    assert end(client, push(client, "sweep", {}, job="last"))[0] == "finished"
    until_sync(lambda: client.zcard("rq:scheduled:earshot-upkeep"), lambda left: not left)
    assert [place for place, mark in marks.items() if mark.exists()] == []


def test_no_callback_and_no_webhook_is_called(
    client: "Redis", tmp_path: Path, folder: Path
) -> None:
    asked: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815  # http.server's name

    with HTTPServer(("127.0.0.1", 0), Hook) as hooks:
        thread = Thread(target=hooks.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{hooks.server_port}/"
            hooked = [
                {"url": f"{url}{status}", "job_status": status, "method": "GET"}
                for status in ("finished", "failed")
            ]
            fields: dict[str, Any] = {"webhooks": json.dumps(hooked)}
            for kind in ("success", "failure", "stopped"):
                fields |= {f"{kind}_callback_name": "os.system", f"{kind}_callback_timeout": 9}
            assert end(client, push(client, "sweep", {}, **fields))[0] == "finished"
            assert end(client, push(client, "nothing", {}, **fields))[0] == "failed"
            # one more of each, so that what follows an end of the former has happened
            assert end(client, push(client, "sweep", {}))[0] == "finished"
        finally:
            hooks.shutdown()
            thread.join()
    assert asked == []


def test_a_list_of_jobs_bears_what_others_wrote(
    client: "Redis", server: RedisServer, tmp_path: Path, folder: Path
) -> None:
    for meta in (
        b"[]",
        b"1",
        b'{"progress": []}',
        b'{"progress": {"done_s": "x"}}',
        b"\x80",
        b'{"error": 1}',
    ):
        end(client, push(client, "nothing", {}, meta=meta))
    end(client, push(client, "export", ["file"]))
    processes = CommandProcesses(tmp_path, EARSHOT_REDIS__URL=server.url)
    try:
        status, _, err = processes.run("jobs", "list")
        assert status == 0, err
        status, listed, err = processes.run("jobs", "list", "--json")
    finally:
        processes.close()
    assert status == 0, err
    assert [json.loads(line)["state"] for line in listed.splitlines()].count("failed") >= 5
