"""Whatever is wrong, a person reads one clear sentence on stderr and never a traceback; the exit
status is not 0 where waiting cannot help, and who can wait waits and says so."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import soundfile

from common.redis.store import Store
from common.settings import LimitSettings, Settings
from common.transitions.publishing import publish
from common.utterance import Utterance
from ops.cli.commands import tail
from ops.demo.recording_file import AUDIO
from tests.support.command_line import DEADLINE_S, CommandProcesses, finish
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync

NOWHERE: Final = "redis://127.0.0.1:1/0"


@pytest.fixture
def earshot(tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(tmp_path, EARSHOT_REDIS__URL=NOWHERE)
    yield processes
    processes.close()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as server:
        yield server


@pytest.fixture(scope="module")
def locked_server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as server:
        with server.sync_client() as client:
            client.config_set("requirepass", "s3cret")
        yield server


def _sentence(told: str) -> str:
    """The one line for a person; log lines, which are JSON here, may stand before it."""
    assert "Traceback" not in told
    lines = [line for line in told.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, told
    assert lines[0].startswith("earshot: ")
    return lines[0]


def _logged(told: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")]


def _until_logged(process: subprocess.Popen[str], event: str) -> list[dict[str, Any]]:
    """Read its log until `event` stands in it."""
    assert process.stderr is not None
    lines: list[dict[str, Any]] = []
    while line := process.stderr.readline():
        lines.append(json.loads(line))
        if lines[-1]["event"] == event:
            return lines
    pytest.fail(f"it ended without {event}: {lines}")


def _waiting(database: Path) -> int:
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database)) as db:
        try:
            return int(db.execute("SELECT count(*) FROM waiting").fetchone()[0])
        except sqlite3.OperationalError:  # the table is not there yet
            return 0


async def _say(server: RedisServer, *texts: str, session: str = "s1") -> None:
    async with server.client() as client:
        store = Store(client, 1, LimitSettings())
        for text in texts:
            utterance = Utterance(id=f"{session}-{time.time_ns()}", session=session, text=text)
            await publish(store, utterance)


# -- Redis


def test_short_commands_do_not_wait_for_redis(earshot: CommandProcesses) -> None:
    commands = (
        ["say", "hello"],
        ["status", "--json"],
        ["dead", "list"],
        ["tail", "--no-follow", "--json"],
    )
    started = [earshot.start(*command) for command in commands]
    for process in started:
        status, shown, told = finish(process)
        assert (status, shown) == (1, "")
        assert f"Redis at {NOWHERE} cannot be reached" in _sentence(told)


def test_wrong_credentials_are_told_by_everybody_and_end_the_start(
    locked_server: RedisServer, earshot: CommandProcesses
) -> None:
    wrong = locked_server.url.replace("127", ":wr0ng@127")
    commands = (
        ["say", "hello"],
        ["status"],
        ["tail"],
        ["llm"],
        ["listen", "--input", str(AUDIO), "--outbox", "outbox"],
    )
    started = [earshot.start(*command, EARSHOT_REDIS__URL=wrong) for command in commands]
    for process in started:
        status, shown, told = finish(process)
        assert (status, shown) == (1, "")
        assert "refuses the credentials" in _sentence(told)
        assert "EARSHOT_REDIS__PASSWORD" in _sentence(told)
        assert "wr0ng" not in told


def test_the_right_password_from_a_file_opens(
    locked_server: RedisServer, earshot: CommandProcesses
) -> None:
    (earshot.folder / "password").write_text("s3cret\n")
    status, shown, told = earshot.run(
        "status",
        "--json",
        EARSHOT_REDIS__URL=locked_server.url,
        EARSHOT_REDIS__PASSWORD_FILE="password",
    )
    assert (status, told) == (0, "")
    assert json.loads(shown)["dead_letters"] == 0


def test_who_may_not_ask_for_info_is_warned_on_stderr_only(
    shared_server: RedisServer, earshot: CommandProcesses
) -> None:
    with shared_server.sync_client() as client:
        client.execute_command("ACL", "SETUSER", "few", "on", ">p", "~*", "+@all", "-info")
    url = shared_server.url.replace("127", "few:p@127")
    status, shown, told = earshot.run("status", "--json", EARSHOT_REDIS__URL=url)
    assert status == 0
    assert "stages" in json.loads(shown)
    assert [line["event"] for line in _logged(told)] == ["redis_not_checked"]


def test_tail_waits_for_redis_and_says_so(earshot: CommandProcesses) -> None:
    process = earshot.start("tail")
    lines = _until_logged(process, "redis_is_away")
    assert "cannot be reached" in lines[-1]["why"]
    process.send_signal(signal.SIGINT)
    status, shown, told = finish(process)
    assert (status, shown) == (0, "")
    assert "Traceback" not in told


def test_listen_keeps_utterances_while_redis_is_away_and_sends_them_later(
    shared_server: RedisServer, earshot: CommandProcesses
) -> None:
    listen = ("listen", "--session", "kitchen", "--outbox", "outbox", "--input")
    process = earshot.start(*listen, str(AUDIO))
    lines = _until_logged(process, "redis_is_away")
    database = earshot.folder / "outbox" / "kitchen.sqlite3"
    until_sync(lambda: _waiting(database) >= 3)
    process.send_signal(signal.SIGINT)
    status, _, told = finish(process)
    assert status == 0
    lines += _logged(told)
    (end,) = [line for line in lines if line["event"] == "done_listening"]
    assert end["waiting"] == end["utterances"] >= 3
    assert end["sent"] == 0
    shown = [line["waiting"] for line in lines if line["event"] == "utterance_heard"]
    assert shown == list(range(1, end["waiting"] + 1)), "it shows how many wait"

    silence = earshot.folder / "silence.wav"
    soundfile.write(silence, np.zeros(16_000, np.int16), 16_000)
    status, _, told = earshot.run(*listen, str(silence), EARSHOT_REDIS__URL=shared_server.url)
    assert status == 0
    lines = _logged(told)
    found = [line["waiting"] for line in lines if line["event"] == "found_in_outbox"]
    assert found == [end["waiting"]]
    assert lines[-1]["event"] == "done_listening"
    assert (lines[-1]["sent"], lines[-1]["waiting"]) == (end["waiting"], 0)
    with shared_server.sync_client() as client:
        assert client.hget("earshot:{0}:session:kitchen", "last") == str(end["waiting"]).encode()


# -- input


def test_what_is_no_audio_is_told_by_a_real_process(earshot: CommandProcesses) -> None:
    (earshot.folder / "text.wav").write_text("This is no audio.\n" * 100)
    status, shown, told = earshot.run("listen", "--input", "text.wav")
    assert (status, shown) == (2, "")
    assert "text.wav is no audio" in _sentence(told)


def test_a_microphone_that_does_not_exist_is_told(earshot: CommandProcesses) -> None:
    status, shown, told = earshot.run("listen", "--device", "no such microphone")
    assert (status, shown) == (1, "")
    assert "input device" in _sentence(told)


def test_without_portaudio_the_way_to_it_is_told(earshot: CommandProcesses) -> None:
    broken = earshot.folder / "broken"
    broken.mkdir()
    (broken / "pyaudio.py").write_text("raise ImportError('libportaudio.so.2: cannot open')\n")
    for process in [
        earshot.start(*command, PYTHONPATH=str(broken)) for command in (["listen"], ["devices"])
    ]:
        status, shown, told = finish(process)
        assert (status, shown) == (1, "")
        assert "pip install 'earshot[mic]'" in _sentence(told)


def test_a_second_listener_of_a_session_is_refused(earshot: CommandProcesses) -> None:
    listen = ("listen", "--input", "-", "--session", "kitchen", "--outbox", "outbox")
    first = earshot.start(*listen)
    _until_logged(first, "listening")
    status, _, told = earshot.run(*listen)
    assert status == 2
    assert "another `earshot listen` with the session 'kitchen' runs" in _sentence(told)
    first.send_signal(signal.SIGTERM)
    assert first.wait(DEADLINE_S) == 0


# -- leaving


def test_a_role_leaves_at_ctrl_c(shared_server: RedisServer, earshot: CommandProcesses) -> None:
    # the LLM worker's server is away: it waits for it, and can be asked to leave all the same
    worker = earshot.start(
        "llm", EARSHOT_REDIS__URL=shared_server.url, EARSHOT_LLM__BASE_URL="http://127.0.0.1:1/v1"
    )
    _until_logged(worker, "ready")
    worker.send_signal(signal.SIGINT)
    status, shown, told = finish(worker)
    assert (status, shown) == (0, "")
    assert "Traceback" not in told


def test_a_second_ctrl_c_ends_it_now(earshot: CommandProcesses) -> None:
    """With Redis away the first one would wait a little for what was just said to go out."""
    process = earshot.start("listen", "--input", str(AUDIO), "--outbox", "outbox")
    _until_logged(process, "utterance_heard")
    process.send_signal(signal.SIGINT)
    _until_logged(process, "stopping")
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 130


def test_ctrl_c_ends_a_tail_that_follows(
    shared_server: RedisServer, earshot: CommandProcesses
) -> None:
    process = earshot.start("tail", EARSHOT_REDIS__URL=shared_server.url)
    with shared_server.sync_client() as client:
        until_sync(lambda: any(one["cmd"] == "xread" for one in client.client_list()))
    process.send_signal(signal.SIGINT)
    assert finish(process) == (0, "", "")


async def test_a_line_that_the_reader_did_not_take_is_no_error_at_the_end(
    shared_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have gone while a line was written, and what writes is ended before it can say so."""

    async def write(*_: object) -> None:
        sys.stdout.write("one line too many\n")
        await asyncio.Event().wait()

    monkeypatch.setattr(tail, "_print", write)
    settings = Settings(redis={"url": shared_server.url})
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        asyncio.get_running_loop().call_later(0.5, os.close, reading)
        await tail._tail(settings, False, None, None, False, True)
        output.flush()


async def test_a_reader_that_leaves_ends_a_command_without_a_word(
    shared_server: RedisServer, earshot: CommandProcesses
) -> None:
    await _say(shared_server, *(f"sentence {number}" for number in range(30)), session="pipe")
    for more in (["--no-follow"], []):  # the second would go on for ever
        process = earshot.start(
            "tail",
            "--since",
            "all",
            "--session",
            "pipe",
            *more,
            EARSHOT_REDIS__URL=shared_server.url,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "User: sentence 0\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(DEADLINE_S) == 0
