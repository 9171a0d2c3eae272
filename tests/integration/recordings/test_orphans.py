"""No decoder outlives the process that wants its samples, however that process ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from ops.local.process_exit import INTERRUPTED
from tests.support.command_line import CommandProcesses
from tests.support.pipeline import earshot as argv
from tests.support.redis_server import RedisServer
from tests.support.terminal import DEADLINE_S, in_terminal
from tests.support.waiting import until_sync

READER = """
import sys, time
from producer.sources.audio_file import AudioFileSource
with AudioFileSource(sys.argv[1]) as source:
    next(iter(source))
    print(source.decoder_pid, flush=True)
    time.sleep(3_600)
"""


@pytest.fixture
def hour(tmp_path: Path) -> Path:
    """More than a pipe holds: its decoder does not end by itself."""
    path = tmp_path / "hour.wav"
    soundfile.write(path, np.zeros(3_600 * 8_000, np.int16), 8_000)
    return path


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as redis:
        yield redis


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def decoder_of(pid: int) -> psutil.Process | None:
    """The decoder that a process, or one that it started, has started."""
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if "producer.decoding.decoder" in child.cmdline():
                return child
        except psutil.Error:
            continue
    return None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_reader_leaves_no_decoder(hour: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", READER, str(hour)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        decoder = int(reader.stdout.readline())
        assert not is_gone(decoder)
        reader.send_signal(number)
    until_sync(lambda: is_gone(decoder))


def test_signals_to_a_whole_group_leave_its_end_to_the_reader(hour: Path) -> None:
    command = [sys.executable, "-c", READER, str(hour)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        decoder = psutil.Process(int(reader.stdout.readline()))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            decoder.send_signal(number)
        # as long as it is there, it has taken them: a signal that waits shows in its status
        until_sync(lambda: _pending(decoder.pid) == 0)
        assert not is_gone(decoder.pid)
        assert os.getpgid(decoder.pid) != os.getpgid(reader.pid)
        reader.kill()
    until_sync(lambda: is_gone(decoder.pid))


def _pending(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd", "ShdPnd")))


@pytest.mark.parametrize("end", ["Ctrl+C", "twice", "SIGKILL"])
def test_listening_to_a_file_leaves_no_decoder(
    redis: RedisServer, tmp_path: Path, hour: Path, end: str
) -> None:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("EARSHOT_")}
    env = inherited | {
        "EARSHOT_REDIS__URL": redis.url,
        "EARSHOT_LISTEN__OUTBOX": str(tmp_path / "outbox"),
        "TERM": "xterm-256color",
    }
    status = {"Ctrl+C": 0, "twice": INTERRUPTED, "SIGKILL": -signal.SIGKILL}[end]
    listen = argv("listen", "--input", str(hour), "--realtime")
    with in_terminal(listen, env, status=status) as (terminal, process):
        terminal.wait_for("m: mute")
        decoder = until_sync(lambda: decoder_of(process.pid))
        match end:
            case "Ctrl+C":
                terminal.press("\x03")
            case "twice":
                for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
                    process.send_signal(number)
            case _:
                process.kill()
        assert process.wait(DEADLINE_S) == status
    until_sync(lambda: is_gone(decoder.pid))


def test_a_transcription_that_is_killed_leaves_no_decoder(
    redis: RedisServer, tmp_path: Path, hour: Path
) -> None:
    tone = np.random.default_rng(0).normal(0, 8_000, 3_600 * 8_000).astype(np.int16)
    soundfile.write(hour, tone, 8_000)
    variables = {
        "EARSHOT_REDIS__URL": redis.url,
        "EARSHOT_LISTEN__VAD": "webrtc",
        "EARSHOT_LISTEN__MAX_UTTERANCE_S": "5",
        "EARSHOT_LIMITS__MAX_UNANSWERED": "2",
        "EARSHOT_JOBS__BEAT_S": "1",
        "EARSHOT_JOBS__FOLDER": str(tmp_path),
    }
    processes = CommandProcesses(tmp_path, **variables)
    try:
        jobs = processes.start("jobs")
        processes.start("transcribe", str(hour))
        decoder = until_sync(lambda: decoder_of(jobs.pid))
        jobs.kill()
        until_sync(lambda: is_gone(decoder.pid))
    finally:
        processes.close()
