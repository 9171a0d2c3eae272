"""RQ reaches the Redis that earshot uses, or the one that is named for it, and never a Cluster."""

from pathlib import Path
from typing import Any

import pytest
from redis import SSLConnection

from common.errors import BadSetting, RedisUnusable
from common.settings import Settings
from ops.jobs.connection import connect, open_connection
from tests.support.environments import clear_environment


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clear_environment(monkeypatch, tmp_path)


def settings(url: str, jobs: str = "", **redis: Any) -> Settings:
    return Settings(redis={"url": url, **redis}, jobs={"redis_url": jobs})


def kwargs(of: Settings) -> dict[str, Any]:
    return connect(of).connection_pool.connection_kwargs


def test_the_same_server_with_its_credentials() -> None:
    options = kwargs(settings("redis://h:7/3", username="u", password="p"))
    assert (options["host"], options["port"], options["db"]) == ("h", 7, 3)
    assert (options["username"], options["password"]) == ("u", "p")


def test_what_our_own_rules_read_is_not_read_by_others_again() -> None:
    options = kwargs(settings("redis://:a,[b]@[fe80::1%25eth0]:7?db=3"))
    assert (options["host"], options["port"], options["db"]) == ("fe80::1%eth0", 7, 3)
    assert options["password"] == "a,[b]"
    assert kwargs(settings("unix:///run/my%20redis.sock"))["path"] == "/run/my redis.sock"


def test_another_server_has_credentials_of_its_own() -> None:
    options = kwargs(settings("redis+cluster://a,b", "redis://:q@h:7/1", password="p"))
    assert (options["host"], options["password"]) == ("h", "q")


def test_tls_checks_the_certificate() -> None:
    pool = connect(settings("rediss://h:7/0")).connection_pool
    assert pool.connection_class is SSLConnection
    assert pool.connection_kwargs["ssl_cert_reqs"] == 2


def test_sentinel_is_asked_for_the_master() -> None:
    pool: Any = connect(settings("redis+sentinel://a,b/main/2", password="p")).connection_pool
    assert pool.service_name == "main"
    assert pool.connection_kwargs["db"] == 2
    assert len(pool.sentinel_manager.sentinels) == 2


def test_a_cluster_is_refused_with_the_way_out() -> None:
    with pytest.raises(BadSetting, match="EARSHOT_JOBS__REDIS_URL to a single server"):
        connect(settings("redis+cluster://a,b"))
    with pytest.raises(BadSetting, match="is not usable"):
        connect(settings("redis://h", "http://h"))


def test_a_patient_one_tries_again_and_another_says_at_once_that_nobody_is_there() -> None:
    of = settings("redis://127.0.0.1:1/0")
    retry = connect(of, patient=True).get_retry()
    assert retry is not None
    assert retry.get_retries() > 20
    with pytest.raises(RedisUnusable, match="is it running"), open_connection(of):
        pass
