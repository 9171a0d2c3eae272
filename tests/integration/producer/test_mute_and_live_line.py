"""On a terminal `earshot listen` keeps one line up to date and a key mutes it; as a service SIGUSR1
does, and what is said meanwhile is never shipped."""

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.listening import SPEECH, listen_environment
from tests.support.pipeline import earshot
from tests.support.redis_server import RedisServer
from tests.support.speechlike import speechlike
from tests.support.terminal import DEADLINE_S, in_terminal
from tests.support.waiting import until_sync


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    with RedisServer(tcp=True) as redis:
        yield listen_environment(redis, tmp_path)


def test_the_line_shows_what_is_heard_and_sent(env: dict[str, str]) -> None:
    audio, feed = os.pipe()
    try:
        with in_terminal(earshot("listen", "--input", "-"), env, stdin=audio) as (terminal, _):
            terminal.wait_for("listening")
            os.write(feed, SPEECH.tobytes())
            terminal.wait_for("sent 1")
            os.write(feed, np.concatenate((speechlike(0.3), np.zeros(24_000, np.int16))).tobytes())
            terminal.wait_for("Skipped short segment")
    finally:
        os.close(audio)
        os.close(feed)


def test_a_key_mutes_and_lets_hear_again(env: dict[str, str], silence: Path) -> None:
    arguments = earshot("listen", "--input", str(silence), "--realtime", "--push-to-talk")
    with in_terminal(arguments, env) as (terminal, _):
        terminal.wait_for("m: unmute")
        terminal.press(" ")
        terminal.wait_for("m: mute")
        terminal.press("m")
        terminal.wait_for("m: unmute")


def test_the_key_is_there_with_the_log_in_a_file_and_the_audio_in_a_pipe(
    env: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    listen = shlex.join(earshot("listen", "--input", "-", "--push-to-talk"))
    piped = f"sleep 600 | {listen} 2> {log}"
    with in_terminal(["sh", "-c", piped], env, status=-signal.SIGTERM) as (terminal, _):
        until_sync(lambda: log.exists() and '"unmute_by": "m or space"' in log.read_text())
        terminal.press("m")
        until_sync(lambda: '"unmuted"' in log.read_text())
        terminal.press("\x03")  # Ctrl+C, for both of them
        until_sync(lambda: '"done_listening"' in log.read_text())


JOB_CONTROL = """
set -m
{listen} &
read typed; echo "the shell got $typed"; fg
"""


def test_the_keys_are_the_shells_while_it_has_the_terminal(
    env: dict[str, str], silence: Path
) -> None:
    listen = shlex.join(earshot("listen", "--input", str(silence), "--realtime"))
    shell = ["bash", "-c", JOB_CONTROL.format(listen=listen)]
    with in_terminal(shell, env) as (terminal, process):
        terminal.wait_for("listening")
        terminal.press("m\n")
        terminal.wait_for("the shell got m")
        terminal.wait_for("m: mute")
        terminal.press("m")
        terminal.wait_for("m: unmute")
        terminal.press("\x03")
        assert process.wait(DEADLINE_S) == 0


def test_the_key_is_there_again_when_a_shell_had_the_terminal_meanwhile(
    env: dict[str, str], silence: Path
) -> None:
    arguments = earshot("listen", "--input", str(silence), "--realtime")
    with in_terminal(arguments, env) as (terminal, process):
        terminal.wait_for("m: mute")
        process.send_signal(signal.SIGSTOP)
        terminal.set_for_lines()
        process.send_signal(signal.SIGCONT)
        until_sync(lambda: not terminal.is_for_lines)
        terminal.press("m")
        terminal.wait_for("m: unmute")


def test_a_service_is_muted_by_a_signal(env: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "listen.log"

    def logged(words: str, times: int = 1) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while log.read_text().count(words) < times:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    with log.open("wb") as stderr:
        process = subprocess.Popen(
            earshot("listen", "--input", "-"), env=env, stdin=subprocess.PIPE, stderr=stderr
        )
        assert process.stdin is not None
        try:
            logged('"listening"')
            process.send_signal(signal.SIGUSR1)
            logged('"muted"')
            process.stdin.write(SPEECH.tobytes())
            process.stdin.flush()
            # a pipe holds 64 KiB: once so much more was taken, all of the speech was
            process.stdin.write(bytes(200_000))
            process.stdin.flush()
            process.send_signal(signal.SIGUSR1)
            logged('"unmuted"')
            process.stdin.write(SPEECH.tobytes())
            process.stdin.close()
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            process.wait()
    logged('"utterances": 1')


def test_a_signal_that_comes_while_it_starts_mutes(env: dict[str, str], tmp_path: Path) -> None:
    password = tmp_path / "password"  # its settings wait for it
    os.mkfifo(password)
    log = tmp_path / "listen.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            earshot("listen", "--input", "-"),
            env=env | {"EARSHOT_REDIS__PASSWORD_FILE": str(password)},
            stdin=subprocess.PIPE,
            stderr=stderr,
        )
        try:
            until_sync(lambda: catches(process.pid, signal.SIGUSR1))
            process.send_signal(signal.SIGUSR1)
            password.write_text("")
            until_sync(lambda: '"muted"' in log.read_text())
            assert process.stdin is not None
            process.stdin.write(SPEECH.tobytes())
            process.stdin.close()
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            process.wait()
    assert '"utterances": 0' in log.read_text()


def catches(process: int, number: signal.Signals) -> bool:
    """Whether it has a handler for the signal."""
    status = Path(f"/proc/{process}/status").read_text()
    (mask,) = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)
