"""Jobs as another program would write them into RQ's Redis, for a real `earshot jobs`."""

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Final

from redis import Redis

from common.keys import Shard
from tests.support.command_line import CommandProcesses
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync

SPOKEN: Final = "touch /tmp/somebody-spoke-this"
"""What somebody said, and what each export holds."""

QUEUES: Final = {"transcribe": "earshot-recordings"}
ENDED: Final = (b"finished", b"failed", b"stopped", b"canceled")


@contextmanager
def running_jobs(server: RedisServer, home: Path) -> Iterator[Path]:
    """Run `earshot jobs` without any setting for a folder, in this home; yield its folder."""
    with server.sync_client() as client:
        event: dict[Any, Any] = {"session": "s", "epoch": 1, "turn": 1, "id": "u", "at": 1}
        event |= {"v": 1, "type": "transcript", "data": json.dumps({"text": SPOKEN})}
        client.xadd(Shard(0).results, event)
    processes = CommandProcesses(
        home,
        EARSHOT_REDIS__URL=server.url,
        EARSHOT_JOBS__BEAT_S="1",
        HOME=str(home),
        XDG_DATA_HOME="",
    )
    try:
        jobs = processes.start("jobs")
        assert jobs.stderr is not None
        ready = next(line for line in jobs.stderr if '"ready"' in line)
        Thread(target=lambda: list(jobs.stderr or ()), daemon=True).start()
        folder = Path(json.loads(ready)["folder"])
        assert folder.is_relative_to(home)
        yield folder
    finally:
        processes.close()


def push(client: "Redis", kind: str, arguments: Any, **fields: Any) -> str:
    """Push a job as bytes; return its id."""
    identity: str = fields.pop("job", f"x-{os.urandom(4).hex()}")
    data = fields.pop("data", json.dumps([kind, None, [], arguments]).encode())
    queue = QUEUES.get(kind, "earshot-upkeep")
    made: dict[Any, Any] = {"data": zlib.compress(data), "origin": queue, "status": "queued"}
    made |= {"created_at": "2026-01-01T00:00:00.000000Z", **fields}
    client.hset(f"rq:job:{identity}", mapping=made)
    client.rpush(f"rq:queue:{queue}", identity)
    return identity


def end(client: "Redis", identity: str) -> tuple[str, str]:
    """Wait for a job's end; return its status and why it failed."""
    status: Any = until_sync(
        lambda: client.hget(f"rq:job:{identity}", "status"), lambda seen: seen in ENDED
    )
    meta: Any = client.hget(f"rq:job:{identity}", "meta")
    known = json.loads(meta or b"{}") if (meta or b"{").startswith(b"{") else {}
    return status.decode(), known.get("error", "")


def export(output: str) -> dict[str, str]:
    return {"output": output, "format": "jsonl", "since": "0-0"}


def transcribe(file: str, output: str, size: int = 0) -> dict[str, Any]:
    return {
        "file": file,
        "size": size,
        "output": output,
        "format": "txt",
        "preset": "conversation",
        "run": "0" * 16,
        "session": "stolen",
        "since": "0-0",
    }
