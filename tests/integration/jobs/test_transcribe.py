"""A recording comes out as a whole transcript, whatever happens meanwhile: the worker of its job is
killed in the middle of it, Redis restarts, and the backlog's limit holds it up."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq.job import JobStatus

from common.keys import Shard
from ops.demo.recording_file import AUDIO, normalise, read_sentences
from ops.jobs.queues import find_job
from ops.jobs.registry import EarshotJob
from tests.support.command_line import CommandProcesses, finish
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync

LIMIT = 4
RECORDINGS = Shard(0).recordings


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(options={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


@pytest.fixture
def earshot(server: RedisServer, tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(
        tmp_path,
        EARSHOT_REDIS__URL=server.url,
        EARSHOT_STT__MODEL="demo",
        EARSHOT_LIMITS__MAX_UNANSWERED=str(LIMIT),
        EARSHOT_JOBS__BEAT_S="1",
        EARSHOT_JOBS__FOLDER=str(tmp_path),
        EARSHOT_LISTEN__OUTBOX=str(tmp_path / "outbox"),
        EARSHOT_LOG__LEVEL="warning",
    )
    yield processes
    processes.close()


def running(client: "Redis", job: str) -> EarshotJob | None:
    found = find_job(client, job)
    return found if found is not None and found.get_status() is JobStatus.STARTED else None


def pid_of_worker(client: "Redis", job: str) -> int:
    """Of the process that runs the job; 0 while there is none."""
    found = running(client, job)
    pid = client.hget(f"rq:worker:{found.worker_name}", "pid") if found else None
    return int(pid) if isinstance(pid, bytes) else 0


def test_a_killed_worker_and_a_restarted_redis_leave_a_whole_transcript(
    server: RedisServer, earshot: CommandProcesses, tmp_path: Path
) -> None:
    earshot.start("jobs")
    (tmp_path / "talk.flac").write_bytes(AUDIO.read_bytes())
    asking = earshot.start("transcribe", "talk.flac", "--output", "talk.json")
    assert asking.stderr is not None
    job = asking.stderr.readline().rpartition(" ")[2].strip()
    with server.sync_client() as client:
        # nobody transcribes yet, so the job stands in the middle of cutting
        until_sync(lambda: running(client, job) and client.xlen(RECORDINGS) == LIMIT)
        heard = client.xlen(Shard(0).results)
    server.restart(clean=True)
    with server.sync_client() as client:
        until_sync(lambda: pid_of_worker(client, job))
        killed = pid_of_worker(client, job)
        os.kill(killed, signal.SIGKILL)
        until_sync(lambda: pid_of_worker(client, job) not in {0, killed})
        assert client.xlen(RECORDINGS) == LIMIT
        assert client.xlen(Shard(0).results) == heard, "it published something a second time"
        earshot.start("stt")
        until_sync((tmp_path / "talk.json").exists)
        status, out, err = finish(asking)
        assert status == 0, err
        assert out.strip() == str(tmp_path / "talk.json")
        transcript = json.loads((tmp_path / "talk.json").read_text())
        events = [fields[b"type"].decode() for _, fields in client.xrange(Shard(0).results)]
    lines = transcript["lines"]
    spoken = read_sentences()
    assert len(lines) == len(spoken) == events.count("heard") == events.count("transcript")
    assert set(events) == {"heard", "transcript", "skipped"}
    for line, sentence in zip(lines, spoken, strict=True):
        assert line["start_s"] <= sentence.start_s + 0.2
        assert line["end_s"] >= sentence.end_s - 0.2
    right = [
        normalise(line["text"]) == normalise(sentence.text)
        for line, sentence in zip(lines, spoken, strict=True)
    ]
    assert sum(right) >= 5 / 6 * len(right)
    assert not list(tmp_path.glob(".*.part"))

    # without `earshot jobs`, and with a bad file among good ones
    (tmp_path / "notes.mp3").write_text("no music")
    status, out, err = earshot.run(
        "transcribe", "notes.mp3", str(AUDIO), "--here", "--format", "srt", "--output", "."
    )
    assert status == 1
    assert "notes.mp3 is no audio that can be read here" in err
    assert out.strip() == str(tmp_path / "conversation.srt")
    cues = (tmp_path / "conversation.srt").read_text().strip().split("\n\n")
    assert len(cues) == len(spoken)
    assert cues[0].startswith("1\n00:00:00,")
