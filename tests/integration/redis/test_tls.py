"""A secured Redis is reached over TLS only, by those who trust its authority and, where it asks for
a certificate, have one; who cannot is told why in a sentence. Sentinels and clusters as well.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from common.errors import RedisUnusable
from common.redis.client import connect
from common.redis.server import check_server
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.transitions.publishing import Verdict, publish
from common.utterance import Utterance
from ops.local.machine import find_free_port
from tests.support.redis_nodes import RedisNodes
from tests.support.secured_redis import SecuredRedis, make_secrets
from tests.support.waiting import until, until_sync

SERVICE: Final = "earshot"
FILES: Final = {"cert_file": "crt", "key_file": "key"}


@pytest.fixture(scope="module")
def strict(secrets: Path) -> Iterator[SecuredRedis]:
    """One that asks every client for a certificate."""
    with SecuredRedis(secrets, asks_clients=True) as server:
        yield server


async def check(settings: RedisSettings) -> None:
    redis = connect(settings)
    try:
        await check_server(redis, settings, 1)
    finally:
        await redis.aclose()


async def refusal(settings: RedisSettings) -> str:
    with pytest.raises(RedisUnusable) as caught:
        await check(settings)
    return str(caught.value)


async def test_its_own_authority_is_trusted_and_no_other(
    secured: SecuredRedis, tmp_path: Path
) -> None:
    await check(secured.settings("viewer"))
    other = make_secrets(tmp_path / "other") / "ca.crt"
    for ca_file in ("", str(other)):
        said = await refusal(secured.settings("viewer", ca_file=ca_file))
        assert "is not trusted (self-signed certificate in certificate chain)" in said
        assert "EARSHOT_REDIS__CA_FILE" in said


async def test_a_certificate_for_another_host_is_not_trusted(secrets: Path) -> None:
    with SecuredRedis(secrets, options={"bind": "127.0.0.1 127.0.0.2"}) as server:
        elsewhere = server.url.replace("127.0.0.1", "127.0.0.2")
        said = await refusal(server.settings("viewer", url=elsewhere))
        assert "not valid for '127.0.0.2'" in said


async def test_who_has_no_client_certificate_is_told(strict: SecuredRedis, secrets: Path) -> None:
    """At once, or after another try where the connection is reset before the reason is read."""

    async def told() -> str:
        try:
            await check(strict.settings("viewer"))
        except RedisUnusable as refused:
            return str(refused)
        except RedisConnectionError:
            return ""
        pytest.fail("it was let in")

    assert "wants a client certificate" in await until(told)
    own = {name: str(secrets / f"kitchen.{end}") for name, end in FILES.items()}
    await check(strict.settings("viewer", **own))


async def test_a_wrong_password_or_another_roles_is_refused(secured: SecuredRedis) -> None:
    settings = secured.settings("viewer").model_copy(update={"username": "producer"})
    assert "refuses the credentials" in await refusal(settings)


async def test_a_cluster_lets_a_role_in_over_tls(secrets: Path) -> None:
    clustered = {
        "cluster-enabled": "yes",
        "tls-cluster": "yes",
        "cluster-port": str(find_free_port()),
    }
    with SecuredRedis(secrets, options=clustered) as server:
        with server.sync_client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
            until_sync(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")))
        url = server.url.replace("rediss://", "rediss+cluster://")
        settings = server.settings("producer", url=url)
        await check(settings)
        redis = connect(settings)
        store = Store(redis, 1, LimitSettings())
        utterance = Utterance(id="u1", session="kitchen", audio=b"ab", samples=1, codec="pcm_s16le")
        assert (await publish(store, utterance)).verdict is Verdict.ACCEPTED
        await redis.aclose()
        assert server.refusals() == []


async def test_sentinels_name_a_master_over_tls(secured: SecuredRedis, secrets: Path) -> None:
    port = find_free_port()
    with RedisNodes() as nodes:
        nodes.add(
            [
                "port 0",
                f"tls-port {port}",
                f"tls-cert-file {secrets / 'redis.crt'}",
                f"tls-key-file {secrets / 'redis.key'}",
                f"tls-ca-cert-file {secrets / 'ca.crt'}",
                "tls-auth-clients no",
                "tls-replication yes",
                f"sentinel monitor {SERVICE} 127.0.0.1 {secured.tls_port} 1",
                f"sentinel auth-user {SERVICE} tests",
                f"sentinel auth-pass {SERVICE} tests",
            ],
            "--sentinel",
        )
        settings = secured.settings("viewer", url=f"rediss+sentinel://127.0.0.1:{port}/{SERVICE}/0")

        async def answers() -> bool:
            try:
                await check(settings)
            except (RedisError, OSError):
                return False
            return True

        await until(answers)
