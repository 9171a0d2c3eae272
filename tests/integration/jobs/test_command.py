"""What `earshot jobs` does for other commands: exports, summaries, bulk replays; and what can be
seen and stopped of it. All on a secured Redis, with the rights of the user `jobs`."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.keys import Shard
from ops.cli.jobs.job_state import read_state
from ops.demo.recording_file import AUDIO
from ops.jobs.tasks.summary import INSTRUCTION
from tests.support.command_line import CommandProcesses
from tests.support.secured_redis import SecuredRedis
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

SHARD = Shard(0)


@pytest.fixture
def llm() -> Iterator[StandIn]:
    with StandIn("--first-token-ms", "1") as llm:
        yield llm


@pytest.fixture
def earshot(secured: SecuredRedis, llm: StandIn, tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(
        tmp_path,
        **secured.variables("jobs"),
        EARSHOT_LLM__BASE_URL=llm.base_url,
        EARSHOT_JOBS__BEAT_S="1",
        EARSHOT_JOBS__FOLDER=str(tmp_path),
        EARSHOT_LIMITS__MAX_UNANSWERED="2",
        EARSHOT_LISTEN__OUTBOX=str(tmp_path / "outbox"),
    )
    yield processes
    processes.close()


def ended(server: SecuredRedis, kind: bytes) -> int:
    with server.sync_client() as client:
        events = client.xrange(SHARD.results)
        assert isinstance(events, list)
        return sum(fields[b"type"] == kind for _, fields in events)


def test_jobs_for_other_commands(
    secured: SecuredRedis, earshot: CommandProcesses, llm: StandIn, tmp_path: Path
) -> None:
    earshot.start("jobs")
    earshot.start("llm", **secured.variables("llm"))
    with secured.sync_client() as client:
        for number in range(5):  # more than a session may have unanswered
            letter = {"v": 1, "session": "s", "id": f"u{number}", "text": f"number {number}"}
            client.xadd(SHARD.dead, letter | {"reason": "poison"})
        client.xadd(SHARD.dead, {"session": "s", "id": "x", "text": "other", "reason": "bad"})
    status, out, err = earshot.run("dead", "replay", "--all", "--reason", "poison", "--job")
    assert (status, out) == (0, "5 replayed\n"), err
    until_sync(lambda: ended(secured, b"reply") + ended(secured, b"skipped") == 5)
    with secured.sync_client() as client:
        assert client.xlen(SHARD.dead) == 1

    status, out, err = earshot.run("summary", "s")
    assert status == 0, err
    assert out.strip()
    (message,) = llm.requests()[-1].messages
    asked = message["content"].splitlines()
    assert asked[0] == INSTRUCTION
    assert next(line for line in asked if "number" in line) == "User: number 0"
    assert any(line.startswith("Assistant: ") for line in asked)
    requests = len(llm.requests())
    assert earshot.run("summary", "s")[:2] == (0, out), "the same again, which nobody made anew"
    assert len(llm.requests()) == requests

    status, printed, err = earshot.run("export", "--since", "1h")
    assert status == 0, err
    events = [json.loads(line) for line in printed.splitlines()]
    assert [event["type"] for event in events].count("heard") == 5
    status, out, err = earshot.run("export", "--since", "all", "--format", "csv", "-o", "e.csv")
    assert (status, out) == (0, f"{tmp_path / 'e.csv'}\n"), err
    with (tmp_path / "e.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["type"] for row in rows] == [event["type"] for event in events]

    status, _, err = earshot.run("export", "-o", "e.csv")
    assert (status, "e.csv exists already: --overwrite" in err) == (2, True)
    status, _, err = earshot.run("export", "-o", "e.csv", "--format", "csv", "--overwrite")
    assert status == 0, err

    (tmp_path / "talk.flac").write_bytes(AUDIO.read_bytes())
    status, _, err = earshot.run("transcribe", "talk.flac", "--detach")
    assert status == 0, err
    job = err.splitlines()[0].rpartition(" ")[2]

    with secured.sync_client() as client:
        until_sync(lambda: "no STT worker" in str(read_state(client, job, "transcribe").progress))
    assert earshot.run("jobs", "cancel", job)[0] == 0
    with secured.sync_client() as client:
        until_sync(lambda: read_state(client, job, "transcribe").state == "cancelled")
        assert client.xlen(SHARD.recordings) == 0, "nothing of it is transcribed any more"
    status, _, err = earshot.run("jobs", "cancel", job)
    assert (status, "is cancelled already" in err) == (2, True)
    assert not (tmp_path / "talk.txt").exists()
    _, out, _ = earshot.run("jobs", "list", "--json")
    kinds = [json.loads(line)["kind"] for line in out.splitlines()]
    assert set(kinds) == {"replay", "summary", "export", "transcribe", "sweep"}
    assert kinds.count("export") == 2, "how far back an export goes makes it another one"
    assert secured.refusals() == []
