"""One event with an absurd time or number, from whoever may write events, hides no other event: the
history stays, the charts go on, and every answer is JSON."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, Final

import httpx
import pytest

from common.keys import Shard
from tests.support.dashboard_process import DashboardProcess
from tests.support.fake_pipeline import FakePipeline
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync

SHARD: Final = Shard(0)
DAY_MS: Final = 86_400_000
YEAR_MS: Final = 365 * DAY_MS


def event(kind: str, session: str, at: int, **data: Any) -> dict[Any, Any]:
    fields: dict[Any, Any] = {"v": 1, "type": kind, "session": session, "epoch": 1, "turn": 1}
    return fields | {"id": "u", "at": at, "data": json.dumps(data)}


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as server:
        yield server


@pytest.fixture(autouse=True)
def pipeline(server: RedisServer) -> Iterator[FakePipeline]:
    with FakePipeline(server) as pipeline:
        pipeline.say("before", "said before")
        pipeline.answer("before", "answered before")
        yield pipeline


def now_ms(server: RedisServer) -> int:
    with server.sync_client() as client:
        seconds, micros = client.time()
        return int(seconds) * 1000 + int(micros) // 1000


@pytest.mark.parametrize("when", ["while it was away", "while it reads along"])
@pytest.mark.parametrize(
    "at", [2 * DAY_MS, 100 * YEAR_MS, 10**19, 10**60, -(10**60), 0], ids=lambda at: f"{at:.0e}"
)
def test_an_absurd_time_empties_neither_history_nor_charts(
    at: int, when: str, server: RedisServer, pipeline: FakePipeline, tmp_path: Path
) -> None:
    now = now_ms(server)
    absurd = event("transcript", "absurd", now + at if at == 2 * DAY_MS else at, text="absurd")

    def add() -> None:
        with server.sync_client() as client:
            client.xadd(SHARD.results, absurd)

    if when == "while it was away":
        add()
    with (
        DashboardProcess(tmp_path, server.url, {}) as board,
        httpx.Client(base_url=board.url, trust_env=False, timeout=60) as http,
    ):
        until_sync(lambda: http.get("/api/overview").json().get("sessions"))
        if when == "while it reads along":
            add()
            until_sync(lambda: "absurd" in http.get("/api/overview").json()["sessions"])
        pipeline.say("after", "said after")
        pipeline.answer("after", "answered after")
        until_sync(lambda: "answered after" in http.get("/api/overview").text)
        seen = http.get("/api/overview").json()
        assert {"before", "after"} <= set(seen["sessions"])
        texts = [one["data"].get("text") for one in seen["events"]]
        assert {"said before", "answered before", "said after", "answered after"} <= set(texts)
        assert all(one["at"] <= now_ms(server) + 60_000 for one in seen["events"])
        rates = http.get("/api/pipeline?rates=1").json()["rates"]
        assert sum(rates["per_minute"]["replies"]) > 0, "which are the newest"
        assert rates["over_all"]["total"]["count"] == 2


def test_an_entry_from_the_future_hides_nothing_either(
    server: RedisServer, pipeline: FakePipeline, tmp_path: Path
) -> None:
    """Its id is the time for all that come after it in its stream."""
    later = now_ms(server) + YEAR_MS
    with (
        DashboardProcess(tmp_path, server.url, {}) as board,
        httpx.Client(base_url=board.url, trust_env=False, timeout=60) as http,
    ):
        until_sync(lambda: http.get("/api/overview").json().get("sessions"))
        with server.sync_client() as client:
            absurd = event("transcript", "absurd", later, text="absurd")
            client.xadd(SHARD.results, absurd, id=f"{later}-0")
        pipeline.say("after", "said after")
        pipeline.answer("after", "answered after")
        until_sync(lambda: "answered after" in http.get("/api/overview").text)
        seen = http.get("/api/overview").json()
        assert {"before", "absurd", "after"} <= set(seen["sessions"])
        assert all(one["at"] <= now_ms(server) + 60_000 for one in seen["events"])
        rates = http.get("/api/pipeline?rates=1").json()["rates"]
        assert rates["over_all"]["total"]["count"] == 2
        place = seen["place"].split("_")[0]
        with http.stream("GET", f"/events?after=0r{later + YEAR_MS}-0") as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("id: "))
            told: list[str] = []
            reader = Thread(target=lambda: told.append(next(lines)))
            reader.start()
            # again and again: what is said before the page is there is not sent to it
            until_sync(lambda: pipeline.say(uuid.uuid4().hex, "said last") and told)
            reader.join()
            assert told[0].split("_")[0] > f"id: {place}", "a page from the future goes on too"


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e308", "NaN", "Infinity"])
def test_an_absurd_duration_breaks_no_chart(
    number: str, server: RedisServer, tmp_path: Path
) -> None:
    with server.sync_client() as client:
        absurd = event("reply", "absurd", now_ms(server), text="absurd")
        timings = f'{{"published": 0, "transcribed": 1, "done": {number}, "llm_started": {number}}}'
        absurd["data"] = f'{{"text": "absurd", "timings": {timings}}}'
        client.xadd(SHARD.results, absurd)
    with (
        DashboardProcess(tmp_path, server.url, {}) as board,
        httpx.Client(base_url=board.url, trust_env=False, timeout=60) as http,
    ):
        until_sync(lambda: http.get("/api/overview").json().get("sessions"))
        answer = http.get("/api/pipeline?rates=1")
        assert answer.status_code == 200
        total = answer.json()["rates"]["over_all"]["total"]
        assert total["p50"] < DAY_MS
        assert "Traceback" not in board.log
