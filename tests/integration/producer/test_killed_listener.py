"""A producer that is killed at any moment loses and repeats nothing: its outbox is sent at the next
start."""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from common.redis.store import Store
from common.settings import LimitSettings
from common.transitions.publishing import publish
from ops.demo.recording_file import AUDIO
from producer.shipping.outbox import Outbox
from tests.integration.producer.waiting_utterances import fill_outbox, heard_ids, make_utterance
from tests.support.command_line import CommandProcesses, finish
from tests.support.redis_server import RedisServer


def _in_outbox(database: Path) -> list[str]:
    """What a dead producer has left behind; opening it is what a restart does, too."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as db:
        try:
            rows = db.execute("SELECT meta FROM waiting ORDER BY place").fetchall()
        except sqlite3.OperationalError:  # killed before the table was made
            return []
    return [json.loads(meta)["id"] for (meta,) in rows]


def _until_sent(process: subprocess.Popen[str], count: int) -> None:
    """Until `count` were sent, or it has ended."""
    assert process.stderr is not None
    while count and (line := process.stderr.readline()):
        if json.loads(line)["event"] == "utterance_sent":
            count -= 1


def _until_kept(database: Path, process: subprocess.Popen[str]) -> None:
    """Until something waits in the outbox of a process that runs."""
    while not _in_outbox(database):
        assert process.poll() is None, "it ended, with nothing left in its outbox"
        time.sleep(0.01)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """The demo's recording several times over: enough to be killed in the middle of it."""
    samples, rate = soundfile.read(AUDIO, dtype="int16")
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.tile(samples, 6), rate)
    return path


def test_a_listener_that_is_killed_at_any_moment_loses_and_repeats_nothing(
    redis_server: RedisServer, tmp_path: Path, speech: Path
) -> None:
    """Killed at once in every second round; in the others Redis stands still until some wait."""
    rng = random.Random(7)
    processes = CommandProcesses(tmp_path, EARSHOT_REDIS__URL=redis_server.url)
    database = tmp_path / "outbox" / "s1.sqlite3"
    listen = ("listen", "--session", "s1", "--outbox", "outbox", "--input")
    left: list[str] = []
    for stands_still in (False, True, False, True):
        process = processes.start(*listen, str(speech), EARSHOT_LOG__FORMAT="json")
        _until_sent(process, rng.randint(1, 12))
        with redis_server.sync_client() as client:
            if stands_still:
                client.client_pause(timeout=60_000, all=False)
                _until_kept(database, process)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            client.client_unpause()
        found = _in_outbox(database)
        assert found or not stands_still, "it was killed with something in its outbox"
        assert set(left) <= {*found, *heard_ids(redis_server)}, "what was kept is kept, or sent"
        left += [one for one in found if one not in left]

    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(16_000, np.int16), 16_000)
    status, _, told = finish(processes.start(*listen, str(silence)))
    assert status == 0, told
    heard = heard_ids(redis_server)
    assert len(heard) == len(set(heard)), "none twice"
    assert set(left) <= set(heard), "none lost"
    assert [one for one in heard if one in set(left)] == left, "in order"
    assert _in_outbox(database) == []


def test_killed_between_the_answer_and_the_forgetting_it_repeats_nothing(
    redis_server: RedisServer, tmp_path: Path, outbox: Outbox
) -> None:
    """As after such a death: Redis has it, and it still lies in the outbox."""
    fill_outbox(outbox, "a", "b")

    async def killed() -> None:
        async with redis_server.client() as client:
            await publish(Store(client, 1, LimitSettings()), make_utterance("a"))

    asyncio.run(killed())
    outbox.close()
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(16_000, np.int16), 16_000)
    processes = CommandProcesses(tmp_path, EARSHOT_REDIS__URL=redis_server.url)
    listen = ("listen", "--session", "s1", "--outbox", "outbox", "--input", str(silence))
    status, _, told = finish(processes.start(*listen))
    assert status == 0, told
    assert heard_ids(redis_server) == ["a", "b"]
