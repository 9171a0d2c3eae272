"""Whatever is wrong with Redis or the input, a person reads one clear sentence on stderr and never
a traceback; a command that can wait waits and says so."""

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ops.demo.recording_file import AUDIO
from tests.integration.cli.command_logs import NOWHERE, parse_log, until_logged
from tests.support.command_line import DEADLINE_S, CommandProcesses, finish
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync


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


def _waiting(database: Path) -> int:
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database)) as db:
        try:
            return int(db.execute("SELECT count(*) FROM waiting").fetchone()[0])
        except sqlite3.OperationalError:  # the table is not there yet
            return 0


# -- Redis


def test_short_commands_do_not_wait_for_redis(processes: CommandProcesses) -> None:
    commands = (
        ["say", "hello"],
        ["status", "--json"],
        ["dead", "list"],
        ["tail", "--no-follow", "--json"],
    )
    started = [processes.start(*command) for command in commands]
    for process in started:
        status, shown, told = finish(process)
        assert (status, shown) == (1, "")
        assert f"Redis at {NOWHERE} cannot be reached" in _sentence(told)


def test_wrong_credentials_are_told_by_everybody_and_end_the_start(
    locked_server: RedisServer, processes: CommandProcesses
) -> None:
    wrong = locked_server.url.replace("127", ":wr0ng@127")
    commands = (
        ["say", "hello"],
        ["status"],
        ["tail"],
        ["llm"],
        ["listen", "--input", str(AUDIO), "--outbox", "outbox"],
    )
    started = [processes.start(*command, EARSHOT_REDIS__URL=wrong) for command in commands]
    for process in started:
        status, shown, told = finish(process)
        assert (status, shown) == (1, "")
        assert "refuses the credentials" in _sentence(told)
        assert "EARSHOT_REDIS__PASSWORD" in _sentence(told)
        assert "wr0ng" not in told


def test_the_right_password_from_a_file_opens(
    locked_server: RedisServer, processes: CommandProcesses
) -> None:
    (processes.folder / "password").write_text("s3cret\n")
    status, shown, told = processes.run(
        "status",
        "--json",
        EARSHOT_REDIS__URL=locked_server.url,
        EARSHOT_REDIS__PASSWORD_FILE="password",
    )
    assert (status, told) == (0, "")
    assert json.loads(shown)["dead_letters"] == 0


def test_who_may_not_ask_for_info_is_warned_on_stderr_only(
    shared_server: RedisServer, processes: CommandProcesses
) -> None:
    with shared_server.sync_client() as client:
        client.execute_command("ACL", "SETUSER", "few", "on", ">p", "~*", "+@all", "-info")
    url = shared_server.url.replace("127", "few:p@127")
    status, shown, told = processes.run("status", "--json", EARSHOT_REDIS__URL=url)
    assert status == 0
    assert "stages" in json.loads(shown)
    assert [line["event"] for line in parse_log(told)] == ["redis_not_checked"]


def test_tail_waits_for_redis_and_says_so(processes: CommandProcesses) -> None:
    process = processes.start("tail")
    lines = until_logged(process, "redis_is_away")
    assert "cannot be reached" in lines[-1]["why"]
    process.send_signal(signal.SIGINT)
    status, shown, told = finish(process)
    assert (status, shown) == (0, "")
    assert "Traceback" not in told


def test_listen_keeps_utterances_while_redis_is_away_and_sends_them_later(
    shared_server: RedisServer, processes: CommandProcesses
) -> None:
    listen = ("listen", "--session", "kitchen", "--outbox", "outbox", "--input")
    process = processes.start(*listen, str(AUDIO))
    lines = until_logged(process, "redis_is_away")
    database = processes.folder / "outbox" / "kitchen.sqlite3"
    until_sync(lambda: _waiting(database) >= 3)
    process.send_signal(signal.SIGINT)
    status, _, told = finish(process)
    assert status == 0
    lines += parse_log(told)
    (end,) = [line for line in lines if line["event"] == "done_listening"]
    assert end["waiting"] == end["utterances"] >= 3
    assert end["sent"] == 0
    shown = [line["waiting"] for line in lines if line["event"] == "utterance_heard"]
    assert shown == list(range(1, end["waiting"] + 1)), "it shows how many wait"

    silence = processes.folder / "silence.wav"
    soundfile.write(silence, np.zeros(16_000, np.int16), 16_000)
    status, _, told = processes.run(*listen, str(silence), EARSHOT_REDIS__URL=shared_server.url)
    assert status == 0
    lines = parse_log(told)
    found = [line["waiting"] for line in lines if line["event"] == "found_in_outbox"]
    assert found == [end["waiting"]]
    assert lines[-1]["event"] == "done_listening"
    assert (lines[-1]["sent"], lines[-1]["waiting"]) == (end["waiting"], 0)
    with shared_server.sync_client() as client:
        assert client.hget("earshot:{0}:session:kitchen", "last") == str(end["waiting"]).encode()


# -- input


def test_what_is_no_audio_is_told_by_a_real_process(processes: CommandProcesses) -> None:
    (processes.folder / "text.wav").write_text("This is no audio.\n" * 100)
    status, shown, told = processes.run("listen", "--input", "text.wav")
    assert (status, shown) == (2, "")
    assert "text.wav is no audio" in _sentence(told)


def test_a_microphone_that_does_not_exist_is_told(processes: CommandProcesses) -> None:
    status, shown, told = processes.run("listen", "--device", "no such microphone")
    assert (status, shown) == (1, "")
    assert "input device" in _sentence(told)


def test_without_portaudio_the_way_to_it_is_told(processes: CommandProcesses) -> None:
    broken = processes.folder / "broken"
    broken.mkdir()
    (broken / "pyaudio.py").write_text("raise ImportError('libportaudio.so.2: cannot open')\n")
    for process in [
        processes.start(*command, PYTHONPATH=str(broken)) for command in (["listen"], ["devices"])
    ]:
        status, shown, told = finish(process)
        assert (status, shown) == (1, "")
        assert "pip install 'earshot[mic]'" in _sentence(told)


def test_a_second_listener_of_a_session_is_refused(processes: CommandProcesses) -> None:
    listen = ("listen", "--input", "-", "--session", "kitchen", "--outbox", "outbox")
    first = processes.start(*listen)
    until_logged(first, "listening")
    status, _, told = processes.run(*listen)
    assert status == 2
    assert "another `earshot listen` with the session 'kitchen' runs" in _sentence(told)
    first.send_signal(signal.SIGTERM)
    assert first.wait(DEADLINE_S) == 0
