"""A recording that cannot be decoded is one sentence for whoever gave it, whichever way it came:
`listen --input`, `transcribe`, a job, a visitor of the dashboard."""

import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from tests.support.command_line import CommandProcesses
from tests.support.dashboard_process import DashboardProcess
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as redis:
        yield redis


@pytest.fixture
def processes(redis: RedisServer, tmp_path: Path) -> Iterator[CommandProcesses]:
    outbox = str(tmp_path / "outbox")
    one = CommandProcesses(
        tmp_path,
        EARSHOT_REDIS__URL=redis.url,
        EARSHOT_LISTEN__OUTBOX=outbox,
        EARSHOT_JOBS__FOLDER=str(tmp_path),
    )
    yield one
    one.close()


@pytest.fixture
def greedy(tmp_path: Path) -> Path:
    """A WAV whose header asks for gigabytes."""
    path = tmp_path / "greedy.wav"
    soundfile.write(path, np.zeros(1_000, np.int16), 16_000)
    data = path.read_bytes()
    path.write_bytes(data[:24] + struct.pack("<I", 2**31 - 1) + data[28:])
    return path


SENTENCE = "greedy.wav states a rate of 2147483647 Hz; rates from 4000 to 768000 Hz are accepted"


def test_listening_to_it(processes: CommandProcesses, greedy: Path) -> None:
    status, _, err = processes.run("listen", "--input", greedy.name)
    assert (status, err.count(SENTENCE)) == (2, 1)
    assert "Traceback" not in err


def test_transcribing_it_here(processes: CommandProcesses, greedy: Path) -> None:
    status, _, err = processes.run("transcribe", greedy.name, "--here")
    assert (status, err.count(SENTENCE)) == (1, 1)
    assert "Traceback" not in err
    assert not greedy.with_suffix(".txt").exists()


def test_a_job(processes: CommandProcesses, greedy: Path) -> None:
    processes.start("jobs", EARSHOT_JOBS__BEAT_S="1")
    status, _, err = processes.run("transcribe", str(greedy))
    assert ": job transcribe-" in err
    assert (status, err.count(SENTENCE)) == (1, 1)
    assert "Traceback" not in err


def test_a_visitor_of_the_dashboard(redis: RedisServer, tmp_path: Path, greedy: Path) -> None:
    with DashboardProcess(tmp_path, redis.url, {}) as board:
        with httpx.Client(base_url=board.url, trust_env=False, timeout=60) as http:
            answer = http.post("/api/recordings?name=greedy.wav", content=greedy.read_bytes())
            assert answer.status_code == 400
            assert answer.json()["error"].startswith(SENTENCE), "and not a path of this host"
            # further on it is what the page reads meanwhile
            cut = tmp_path / "cut.flac"
            noise = np.random.default_rng(0).normal(0, 3_000, 160_000).astype(np.int16)
            soundfile.write(cut, noise, 16_000)
            half = cut.read_bytes()[:100_000]
            session = http.post("/api/recordings?name=cut.flac", content=half).json()["session"]
            progress = until_sync(
                lambda: http.get(f"/api/recordings/{session}").json(), lambda seen: seen["over"]
            )
            assert progress["why"].startswith("cut.flac is damaged after ")
        assert "Traceback" not in board.log
