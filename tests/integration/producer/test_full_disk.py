"""On a full or broken disk `earshot listen` hears and ships, and says so once. Its outbox promises
again what it does as soon as there is room."""

import json
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ops.local.machine import find_free_port
from tests.integration.producer.speaking_listener import PAUSE_BYTES, SPEECH, SpeakingListener
from tests.integration.producer.waiting_utterances import heard_ids
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis that remembers over its restarts."""
    with RedisServer(options={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


def ids_of(listener: SpeakingListener, event: str) -> list[str]:
    return [line["utterance"] for line in listener.logged(event)]


def on_disk(folder: Path) -> list[str]:
    """What lies in the outbox of a process that is dead."""
    with closing(sqlite3.connect(folder / "outbox" / "s1.sqlite3")) as db:
        rows = db.execute("SELECT meta FROM waiting ORDER BY place").fetchall()
    return [json.loads(meta)["id"] for (meta,) in rows]


def test_a_disk_that_fills_up_stops_neither_hearing_nor_shipping(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with SpeakingListener(tmp_path, redis_server.url) as listener:
        listener.speak(2)
        listener.until("utterance_sent", 2)
        listener.fill_disk()
        for _ in range(3):
            listener.speak()
        listener.until("utterance_sent", 5)
        listener.free_disk()
        listener.speak()
        listener.until("outbox_disk_works_again")
        listener.speak()
        listener.until("utterance_sent", 7)
        assert listener.end() == 0
        assert len(listener.logged("outbox_disk_failed")) == 1
        assert len(listener.logged("outbox_disk_works_again")) == 1
        assert listener.logged("outbox_dropped_oldest") == []
        assert heard_ids(redis_server) == ids_of(listener, "utterance_heard")
    assert on_disk(tmp_path) == []


def test_it_may_start_on_a_full_disk(redis_server: RedisServer, tmp_path: Path) -> None:
    with SpeakingListener(tmp_path, redis_server.url, disk_is_full=True) as listener:
        listener.speak(2)
        listener.until("utterance_sent", 2)
        assert len(listener.logged("outbox_disk_failed")) == 1
        listener.free_disk()
        listener.until("outbox_disk_works_again")
        redis_server.stop()
        listener.speak()
        listener.process.send_signal(signal.SIGKILL)
        listener.process.wait()
        heard = ids_of(listener, "utterance_heard")
    assert on_disk(tmp_path) == heard[2:], "the promises hold again"


def test_what_was_said_with_neither_disk_nor_redis_is_shipped_in_order(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with SpeakingListener(tmp_path, redis_server.url) as listener:
        listener.speak()
        listener.until("utterance_sent")
        redis_server.stop()
        listener.speak(2)  # on the disk
        listener.fill_disk()
        listener.speak(2)  # in memory
        redis_server.start()
        listener.until("utterance_sent", 5)
        listener.speak()
        listener.until("utterance_sent", 6)
        assert ids_of(listener, "utterance_sent") == ids_of(listener, "utterance_heard")
        listener.process.send_signal(signal.SIGKILL)  # what was sent is still on the disk
        listener.process.wait()
        heard = ids_of(listener, "utterance_heard")
    assert set(on_disk(tmp_path)) <= set(heard)
    with SpeakingListener(tmp_path, redis_server.url) as listener:
        listener.speak()
        assert listener.end() == 0
        heard += ids_of(listener, "utterance_heard")
    assert [one for one in heard_ids(redis_server) if one in heard] == heard, "once, in order"


def test_with_redis_away_it_goes_to_the_disk_when_there_is_room(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with SpeakingListener(tmp_path, redis_server.url) as listener:
        listener.speak()
        listener.until("utterance_sent")
        redis_server.stop()
        listener.fill_disk()
        listener.speak(2)
        listener.free_disk()
        listener.until("outbox_disk_works_again")  # though nobody speaks
        listener.process.send_signal(signal.SIGKILL)
        listener.process.wait()
        heard = ids_of(listener, "utterance_heard")
    assert on_disk(tmp_path) == heard[1:]
    redis_server.start()
    with SpeakingListener(tmp_path, redis_server.url) as listener:
        listener.until("utterance_sent", 2)
        listener.speak()
        assert listener.end() == 0
        heard += ids_of(listener, "utterance_heard")
    assert heard_ids(redis_server) == heard


def test_drafts_wait_for_the_disk_and_utterances_do_not(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    word, silence = SPEECH[:48_000] + bytes(PAUSE_BYTES), bytes(48_000)
    with SpeakingListener(tmp_path, redis_server.url, "--eager", "on") as listener:
        listener.fill_disk()
        listener.play(word)
        (off,) = listener.until("eager_transcription_off")
        assert "cannot be used" in off["why"]
        listener.play(silence)
        listener.until("utterance_sent", 1)
        listener.play(word + silence)
        listener.until("utterance_sent", 2)
        listener.free_disk()
        listener.play(word)
        listener.until("eager_transcription_on_again")
        listener.play(silence)
        assert listener.end() == 0
        assert len(listener.logged("eager_transcription_off")) == 1
        heard = ids_of(listener, "utterance_heard")
        assert (heard_ids(redis_server), len(heard)) == (heard, 3)


def health(folder: Path, port: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", "health", "--ready", "--port", str(port)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if line.startswith("earshot_outbox")]
    return {name: float(value) for name, _, value in pairs}


def test_health_and_metrics_show_it(redis_server: RedisServer, tmp_path: Path) -> None:
    port = find_free_port()
    with SpeakingListener(tmp_path, redis_server.url, port=port) as listener:
        until_sync(lambda: health(tmp_path, port)[0] == 0)
        listener.fill_disk()
        redis_server.stop()
        listener.speak(2)
        shown = metrics(port)
        assert shown["earshot_outbox_disk_up"] == 0
        assert shown["earshot_outbox_memory_utterances"] == 2
        redis_server.start()
        listener.until("utterance_sent", 2)
        status, told = health(tmp_path, port)
        assert status == 1
        assert "the disk of the outbox fails" in told
        listener.free_disk()
        listener.until("outbox_disk_works_again")
        assert health(tmp_path, port)[0] == 0
        assert metrics(port)["earshot_outbox_disk_up"] == 1


def test_a_damaged_outbox_ends_no_start(redis_server: RedisServer, tmp_path: Path) -> None:
    with SpeakingListener(tmp_path, redis_server.url) as listener:
        redis_server.stop()
        listener.speak(3)
        listener.process.send_signal(signal.SIGKILL)
        listener.process.wait()
        heard = ids_of(listener, "utterance_heard")
    database = tmp_path / "outbox" / "s1.sqlite3"
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as file:
        file.write(bytes(4_096))
    content = database.read_bytes()
    redis_server.start()
    for number in (1, 2):
        with SpeakingListener(tmp_path, redis_server.url) as listener:
            listener.speak()
            assert listener.end() == 0
            heard += ids_of(listener, "utterance_heard")
            assert len(listener.logged("outbox_damaged")) == (number == 1)
    assert heard_ids(redis_server) == heard
    assert (tmp_path / "outbox" / "s1.sqlite3.damaged-1").read_bytes() == content
