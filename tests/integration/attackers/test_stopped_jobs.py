"""Whoever has the password `jobs` can stop the workers of the jobs, again and again, and does not
end `earshot jobs`: the next job is done as soon as nobody stops its worker."""

import json
from pathlib import Path
from typing import Any, Final

from tests.support.command_line import CommandProcesses
from tests.support.foreign_jobs import end, push
from tests.support.secured_redis import SecuredRedis
from tests.support.waiting import until_sync

QUEUES: Final = 2
"""Each has one worker by default."""

COMMANDS: Final[tuple[dict[str, str], ...]] = (
    {"command": "shutdown"},
    {"command": "kill-horse"},
    {"command": "stop-job", "job_id": "x"},
    {"command": "no such command"},
    {},
)
NO_COMMANDS: Final = (
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'"shutdown"',
    b"null",
)


def test_its_workers_can_be_stopped_and_the_next_job_is_done(
    secured: SecuredRedis, tmp_path: Path
) -> None:
    processes = CommandProcesses(
        tmp_path,
        **secured.variables("jobs"),
        EARSHOT_JOBS__BEAT_S="1",
        EARSHOT_JOBS__FOLDER=str(tmp_path),
        EARSHOT_METRICS__PORT="0",
    )
    try:
        jobs = processes.start("jobs")
        with secured.client_of("jobs") as thief:

            def workers() -> set[str]:
                names: Any = thief.smembers("rq:workers")
                return {name.decode().removeprefix("rq:worker:") for name in names}

            before = until_sync(workers, lambda seen: len(seen) == QUEUES)
            assert end(thief, push(thief, "sweep", {}))[0] == "finished"
            for command in COMMANDS:
                for name in before:
                    thief.publish(f"rq:pubsub:{name}", json.dumps(command))
            after = until_sync(workers, lambda seen: len(seen) == QUEUES and not seen & before)
            assert end(thief, push(thief, "sweep", {}))[0] == "finished"
            for payload in NO_COMMANDS:
                for name in after:
                    thief.publish(f"rq:pubsub:{name}", payload)
            assert end(thief, push(thief, "sweep", {}))[0] == "finished"
        assert jobs.poll() is None
    finally:
        processes.close()
