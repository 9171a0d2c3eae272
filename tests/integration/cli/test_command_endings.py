"""A command ends cleanly at Ctrl+C, and without a word when its reader leaves."""

import asyncio
import os
import signal
import sys

import pytest

from common.settings import Settings
from ops.cli.commands import tail
from ops.demo.recording_file import AUDIO
from tests.integration.cli.command_logs import until_logged
from tests.integration.cli.conversations import say
from tests.support.command_line import DEADLINE_S, CommandProcesses, finish
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync


def test_a_role_leaves_at_ctrl_c(server: RedisServer, processes: CommandProcesses) -> None:
    # the LLM worker's server is away: it waits for it, and can be asked to leave all the same
    worker = processes.start(
        "llm", EARSHOT_REDIS__URL=server.url, EARSHOT_LLM__BASE_URL="http://127.0.0.1:1/v1"
    )
    until_logged(worker, "ready")
    worker.send_signal(signal.SIGINT)
    status, shown, told = finish(worker)
    assert (status, shown) == (0, "")
    assert "Traceback" not in told


def test_a_second_ctrl_c_ends_it_now(processes: CommandProcesses) -> None:
    """With Redis away the first one would wait a little for what was just said to go out."""
    process = processes.start("listen", "--input", str(AUDIO), "--outbox", "outbox")
    until_logged(process, "utterance_heard")
    process.send_signal(signal.SIGINT)
    until_logged(process, "stopping")
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 130


def test_ctrl_c_ends_a_tail_that_follows(server: RedisServer, processes: CommandProcesses) -> None:
    process = processes.start("tail", EARSHOT_REDIS__URL=server.url)
    with server.sync_client() as client:
        until_sync(lambda: any(one["cmd"] == "xread" for one in client.client_list()))
    process.send_signal(signal.SIGINT)
    assert finish(process) == (0, "", "")


async def test_a_line_that_the_reader_did_not_take_is_no_error_at_the_end(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have gone while a line was written, and what writes is ended before it can say so."""

    async def write(*_: object) -> None:
        sys.stdout.write("one line too many\n")
        await asyncio.Event().wait()

    monkeypatch.setattr(tail, "_print", write)
    settings = Settings(redis={"url": server.url})
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        asyncio.get_running_loop().call_later(0.5, os.close, reading)
        await tail._tail(settings, False, None, None, False, True)
        output.flush()


def test_a_reader_that_leaves_ends_a_command_without_a_word(
    server: RedisServer, processes: CommandProcesses
) -> None:
    say(server, *(f"sentence {number}" for number in range(30)), session="pipe")
    for more in (["--no-follow"], []):  # the second would go on for ever
        process = processes.start(
            "tail",
            "--since",
            "all",
            "--session",
            "pipe",
            *more,
            EARSHOT_REDIS__URL=server.url,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "User: sentence 0\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(DEADLINE_S) == 0
