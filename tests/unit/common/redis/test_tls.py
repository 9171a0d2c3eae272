"""TLS is with every kind of Redis that asks for it, checks the server, and is never left out
unnoticed; certificates that cannot be used stop the start with a sentence.
"""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from common.errors import BadSetting
from common.redis.client import connect
from common.settings import RedisSettings


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A CA, and a client certificate of it with its key."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    client = authority.issue_cert("kitchen.example")
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    client.cert_chain_pems[0].write_to_path(str(folder / "kitchen.crt"))
    client.private_key_pem.write_to_path(str(folder / "kitchen.key"))
    return {
        "ca_file": str(folder / "ca.crt"),
        "cert_file": str(folder / "kitchen.crt"),
        "key_file": str(folder / "kitchen.key"),
    }


def check(options: dict[str, Any], files: dict[str, str]) -> None:
    assert options["ssl_cert_reqs"] is ssl.CERT_REQUIRED
    assert options["ssl_ca_certs"] == files["ca_file"]
    assert options["ssl_certfile"] == files["cert_file"]
    assert options["ssl_keyfile"] == files["key_file"]


def test_one_server(files: dict[str, str]) -> None:
    redis = connect(RedisSettings(url="rediss://h", **files))
    assert isinstance(redis, Redis)
    check(redis.connection_pool.connection_kwargs, files)


def test_sentinels_and_the_master_they_name(files: dict[str, str]) -> None:
    redis = connect(RedisSettings(url="rediss+sentinel://h1,h2/mymaster", **files))
    assert isinstance(redis, Redis)
    pool = redis.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    check(pool.connection_kwargs, files)
    for sentinel in pool.sentinel_manager.sentinels:
        check(sentinel.connection_pool.connection_kwargs, files)


async def test_every_node_of_a_cluster(files: dict[str, str]) -> None:
    redis = connect(RedisSettings(url="rediss+cluster://h1,h2", **files))
    assert isinstance(redis, RedisCluster)
    check(redis.connection_kwargs, files)
    await redis.aclose()


@pytest.mark.parametrize("url", ["redis://h", "unix:///s", "redis+sentinel://h/m"])
def test_a_certificate_without_tls_is_refused(url: str, files: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match=r"EARSHOT_REDIS__CA_FILE is set, .* write rediss://"):
        connect(RedisSettings(url=url, ca_file=files["ca_file"]))


def test_a_file_that_is_not_there(files: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match="EARSHOT_REDIS__CA_FILE=/nowhere names no file"):
        connect(RedisSettings(url="rediss://h", ca_file="/nowhere"))


def test_a_file_that_cannot_be_there() -> None:
    with pytest.raises(BadSetting, match=r"CA_FILE=ttt.* cannot be read: File name too long"):
        connect(RedisSettings(url="rediss://h", ca_file="t" * 300))


def test_a_file_that_holds_no_certificate(files: dict[str, str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("s3cret")
    with pytest.raises(BadSetting, match="holds no CA certificate in PEM") as refusal:
        connect(RedisSettings(url="rediss://h", ca_file=str(wrong)))
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("key", ["", "ca_file"])
def test_a_client_certificate_without_its_key(key: str, files: dict[str, str]) -> None:
    key_file = files[key] if key else ""
    with pytest.raises(BadSetting, match="client certificate with its key"):
        connect(RedisSettings(url="rediss://h", cert_file=files["cert_file"], key_file=key_file))
