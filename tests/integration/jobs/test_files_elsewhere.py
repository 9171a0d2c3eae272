"""Files outside of the folder of the jobs are the business of the command that names them: it works
in its own process, says so, and asks no job for what a job may not do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.keys import Shard
from ops.demo.recording_file import AUDIO
from tests.support.command_line import CommandProcesses
from tests.support.redis_server import RedisServer


@pytest.fixture
def earshot(redis_server: RedisServer, tmp_path: Path) -> Iterator[CommandProcesses]:
    (tmp_path / "jobs").mkdir()
    with redis_server.sync_client() as client:
        event = {"session": "s", "epoch": 1, "turn": 1, "id": "u", "at": 1, "v": 1}
        client.xadd(Shard(0).results, {**event, "type": "transcript", "data": '{"text": "Hello."}'})
    processes = CommandProcesses(
        tmp_path,
        EARSHOT_REDIS__URL=redis_server.url,
        EARSHOT_JOBS__FOLDER=str(tmp_path / "jobs"),
        EARSHOT_STT__MODEL="demo",
    )
    yield processes
    processes.close()


def jobs_in(server: RedisServer) -> int:
    with server.sync_client() as client:
        return len(client.keys("rq:job:*"))


def test_an_export_elsewhere_is_written_at_once(
    earshot: CommandProcesses, redis_server: RedisServer, tmp_path: Path
) -> None:
    status, out, err = earshot.run("export", "--since", "all", "-o", "events.txt")
    assert (status, out) == (0, f"{tmp_path / 'events.txt'}\n"), err
    assert "Hello." in (tmp_path / "events.txt").read_text()
    status, _, err = earshot.run("export", "--since", "all", "-o", "events.txt")
    assert (status, "exists already: --overwrite" in err) == (2, True)
    earshot.run("export", "--since", "all", "-o", "events.txt", "--overwrite", "--format", "csv")
    assert (tmp_path / "events.txt").read_text().startswith("at,type,session")
    status, _, err = earshot.run("export", "--since", "all", "-o", "nowhere/events.csv")
    assert (status, "there is no folder" in err) == (2, True)
    assert jobs_in(redis_server) == 0


def test_a_recording_elsewhere_is_transcribed_by_the_command(
    earshot: CommandProcesses, redis_server: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "talk.flac").write_bytes(AUDIO.read_bytes())
    (tmp_path / "jobs" / "link.flac").symlink_to(tmp_path / "talk.flac")
    for file in ("talk.flac", "jobs/link.flac"):
        status, _, err = earshot.run("transcribe", file, "--detach")
        assert (status, "no job may read" in err) == (2, True), err
    earshot.start("stt")
    status, out, err = earshot.run("transcribe", "talk.flac")
    assert (status, out) == (0, f"{tmp_path / 'talk.txt'}\n"), err
    assert "This process does the work, and Ctrl+C ends it" in err
    assert jobs_in(redis_server) == 0


def test_overwrite_lets_a_job_replace_the_file_as_it_is(
    earshot: CommandProcesses, tmp_path: Path
) -> None:
    earshot.start("jobs", EARSHOT_JOBS__BEAT_S="1", EARSHOT_LISTEN__OUTBOX=str(tmp_path / "o"))
    file = tmp_path / "jobs" / "events.jsonl"
    file.write_text("by hand")
    asked = ("export", "--since", "all", "-o", "jobs/events.jsonl")
    status, _, err = earshot.run(*asked)
    assert (status, "exists already" in err) == (2, True)
    status, out, err = earshot.run(*asked, "--overwrite")
    assert (status, out) == (0, f"{file}\n"), err
    assert "Hello." in file.read_text()
