"""The link over real absences of a real server: killed, frozen, restarted, demoted."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from common.redis import client_options
from common.redis.client import connect
from common.redis.link import Link
from common.settings import RedisSettings
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

TASKS = 5


@pytest.fixture
async def link(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Link]:
    monkeypatch.setattr(client_options, "SOCKET_TIMEOUT_S", 0.3)
    settings = RedisSettings(url=redis_server.url)
    redis = connect(settings)
    yield Link(redis, settings, max_pause_s=0.1)
    await redis.aclose()


def _client(link: Link) -> Redis:
    assert isinstance(link.redis, Redis)
    return link.redis


async def _count(link: Link, counted: list[int]) -> None:
    """Goes on for ever; every task of a process shares the link."""
    while True:
        counted.append(await link.retry_until_answered(_client(link).incr, "count"))
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("clean", [True, False])
async def test_every_task_goes_on_after_a_restart_and_it_is_told_once(
    clean: bool, link: Link, redis_server: RedisServer
) -> None:
    counted: list[int] = []
    with capture_logs() as logs:
        tasks = [asyncio.create_task(_count(link, counted)) for _ in range(TASKS)]
        await until(lambda: len(counted) > 20)
        await asyncio.to_thread(redis_server.stop if clean else redis_server.kill)
        await until(lambda: link.outages)
        assert (link.is_up, link.unbroken_s) == (False, 0)
        await asyncio.to_thread(redis_server.start)
        before = len(counted)
        await until(lambda: len(counted) > before + 10 * TASKS)
        assert link.is_up
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    assert link.outages == 1
    assert [line["event"] for line in logs] == ["redis_is_away", "redis_is_back"]


async def test_a_half_open_socket_is_noticed(link: Link, redis_server: RedisServer) -> None:
    await link.retry_until_answered(_client(link).ping)
    redis_server.pause()
    try:
        waiting = asyncio.create_task(link.retry_until_answered(_client(link).ping))
        await until(lambda: link.outages)
        assert "Timeout" in link.why
    finally:
        redis_server.resume()
    assert await asyncio.wait_for(waiting, 30)
    assert link.is_up


async def test_a_demoted_master_is_left_for_the_new_one(
    link: Link, redis_server: RedisServer
) -> None:
    await link.retry_until_answered(_client(link).set, "k", "v")
    with redis_server.sync_client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        waiting = asyncio.create_task(link.retry_until_answered(_client(link).set, "k", "v"))
        await until(lambda: link.outages)
        await until(lambda: not waiting.done())
        client.execute_command("REPLICAOF", "NO", "ONE")
    assert await asyncio.wait_for(waiting, 30)


async def test_a_password_that_is_set_meanwhile_is_waited_out(
    link: Link, redis_server: RedisServer
) -> None:
    await link.retry_until_answered(_client(link).ping)
    with redis_server.sync_client() as client:
        client.config_set("requirepass", "s3cret")
        client.client_kill_filter(skipme=True)
        with capture_logs() as logs:
            waiting = asyncio.create_task(link.retry_until_answered(_client(link).ping))
            await until(lambda: "refuses the credentials" in link.why)
            client.config_set("requirepass", "")
            assert await asyncio.wait_for(waiting, 30)
    assert logs[-1]["event"] == "redis_is_back"
