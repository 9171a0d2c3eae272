"""The link to Redis: a change between there and away is told once, and nobody spins meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import AuthenticationError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from common.redis.link import Link
from common.settings import RedisSettings
from tests.support.metric_samples import sample

AWAY = RedisConnectionError("gone")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def link(clock: Clock) -> Link:
    settings = RedisSettings(url="redis://me:hunter2@h")
    return Link(Redis(), settings, max_pause_s=0.01, clock=clock)


def _fails(error: Exception) -> Callable[[], Awaitable[None]]:
    async def command() -> None:
        raise error

    return command


async def _answers(value: int = 1) -> int:
    return value


async def test_a_link_is_up_from_its_first_answer(link: Link, clock: Clock) -> None:
    assert (link.is_up, link.unbroken_s) == (False, 0)
    assert await link.call(_answers, 7) == 7
    clock.now += 3
    assert link.is_up
    assert link.unbroken_s == 3
    await link.call(_answers)
    assert link.unbroken_s == 3


async def test_each_change_is_logged_once(link: Link, clock: Clock) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            await link.call(_answers)
        assert logs == []
        for _ in range(3):
            with pytest.raises(RedisConnectionError):
                await link.call(_fails(AWAY))
            clock.now += 2
        assert [line["event"] for line in logs] == ["redis_is_away"]
        assert link.why == logs[0]["why"]
        for _ in range(3):
            await link.call(_answers)
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("redis_is_away", "warning"),
        ("redis_is_back", "info"),
    ]
    assert logs[1]["away_s"] == 6
    assert link.why == ""
    assert "hunter2" not in repr(logs)


async def test_it_may_be_away_from_the_start(link: Link) -> None:
    with capture_logs() as logs:
        with pytest.raises(RedisConnectionError):
            await link.call(_fails(AWAY))
        await link.call(_answers)
    assert [line["event"] for line in logs] == ["redis_is_away", "redis_is_back"]
    assert link.outages == 1


async def test_a_failure_ends_the_unbroken_time(link: Link, clock: Clock) -> None:
    await link.call(_answers)
    clock.now += 60
    with pytest.raises(RedisConnectionError):
        await link.call(_fails(AWAY))
    assert link.unbroken_s == 0
    assert not link.is_up
    await link.call(_answers)
    clock.now += 1
    assert link.unbroken_s == 1


async def test_an_answer_from_before_the_failure_proves_nothing(link: Link, clock: Clock) -> None:
    release = asyncio.Event()
    slow = asyncio.create_task(link.call(release.wait))
    await asyncio.sleep(0)  # it has begun
    clock.now += 1
    with pytest.raises(RedisConnectionError):
        await link.call(_fails(AWAY))
    release.set()
    await slow
    assert not link.is_up
    clock.now += 1
    await link.call(_answers)
    assert link.is_up


@pytest.mark.parametrize("error", [ResponseError("WRONGTYPE"), ValueError("a bug")])
async def test_other_errors_say_nothing_about_the_link(link: Link, error: Exception) -> None:
    await link.call(_answers)
    with pytest.raises(type(error)):
        await link.call(_fails(error))
    assert link.is_up
    assert link.outages == 0


async def test_wrong_credentials_are_told_as_well(link: Link) -> None:
    with capture_logs() as logs:
        for error in (AWAY, AWAY, AuthenticationError("WRONGPASS"), AuthenticationError("again")):
            with pytest.raises(RedisConnectionError):
                await link.call(_fails(error))
    assert [line["event"] for line in logs] == ["redis_is_away", "redis_refuses"]
    assert "refuses the credentials" in logs[1]["why"]
    assert link.why == logs[1]["why"]
    assert link.outages == 1


async def test_a_server_that_answers_and_cannot_serve_is_asked_anew_where_it_is(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []

    async def disconnect(*, inuse_connections: bool) -> None:
        closed.append(inuse_connections)

    redis = link.redis
    assert isinstance(redis, Redis)
    monkeypatch.setattr(redis.connection_pool, "disconnect", disconnect)
    with pytest.raises(ReadOnlyError):
        await link.call(_fails(ReadOnlyError("You can't write against a read only replica.")))
    assert closed == [False]  # those in use belong to commands that still run


async def test_retrying_goes_on_until_there_is_an_answer(link: Link) -> None:
    answers: list[Any] = [AWAY, AuthenticationError("WRONGPASS"), TimeoutError(), 5]

    async def command() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, int)
        return answer

    assert await link.retry_until_answered(command) == 5
    assert answers == []


def _forgets_a_cancellation(answer: int | Exception) -> Callable[[], Awaitable[int]]:
    """As `asyncio.wait_for` does up to Python 3.11, when what it waited for was just done."""

    async def command() -> int:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    return command


@pytest.mark.parametrize("answer", [5, AWAY, ResponseError("WRONGTYPE")], ids=repr)
async def test_no_cancellation_is_lost_inside_of_redis_py(
    answer: int | Exception, link: Link
) -> None:
    task = asyncio.create_task(link.retry_until_answered(_forgets_a_cancellation(answer)))
    await asyncio.sleep(0)
    with capture_logs() as logs:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 30)
    assert logs == [], "who cancels a command may close its connection, too"


async def test_a_time_limit_inside_of_which_a_cancellation_is_lost_still_counts(
    link: Link,
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await link.retry_until_answered(_forgets_a_cancellation(5))


async def test_what_is_called_while_a_task_is_being_cancelled_is_done(link: Link) -> None:
    said: list[int] = []

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            said.append(await link.call(_answers, 7))

    task = asyncio.create_task(works())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said == [7]


async def test_retrying_lets_a_bug_through(link: Link) -> None:
    with pytest.raises(ResponseError):
        await link.retry_until_answered(_fails(ResponseError("WRONGTYPE")))


async def test_a_pause_ends_when_another_task_finds_redis_back(clock: Clock) -> None:
    link = Link(Redis(), RedisSettings(), max_pause_s=3_600, clock=clock)
    with pytest.raises(RedisConnectionError):
        await link.call(_fails(AWAY))
    clock.now += 7_200  # away for so long that a pause is as long as it may be
    waiting = asyncio.create_task(link.pause())
    await asyncio.sleep(0)
    assert not waiting.done()
    await link.call(_answers)
    await asyncio.wait_for(waiting, 30)


async def test_a_pause_is_never_longer_than_its_cap(link: Link, clock: Clock) -> None:
    with pytest.raises(RedisConnectionError):
        await link.call(_fails(AWAY))
    clock.now += 86_400
    await asyncio.wait_for(link.pause(), 30)  # the cap of this link is 10 ms


@pytest.fixture
def whole(clock: Clock) -> Link:
    """The link to a cluster, to which nothing ever connects."""
    settings = RedisSettings(url="redis+cluster://h")
    cluster = RedisCluster(startup_nodes=[ClusterNode("h", 1)])
    return Link(cluster, settings, max_pause_s=0.01, clock=clock)


async def test_one_server_has_no_parts(link: Link) -> None:
    assert link.part(3) is link.part("backlog") is link


async def test_the_parts_of_a_cluster_are_away_one_by_one(whole: Link, clock: Clock) -> None:
    with capture_logs() as logs:
        await whole.part(1).call(_answers)
        await whole.part(2).call(_answers)
        clock.now += 5
        for _ in range(3):
            with suppress(RedisConnectionError):
                await whole.part(2).call(_fails(AWAY))
            await whole.part(1).call(_answers)
        assert (whole.part(1).is_up, whole.part(2).is_up, whole.is_up) == (True, False, True)
        assert (whole.part(1).unbroken_s, whole.part(2).unbroken_s) == (5, 0)
        assert whole.unreachable == ""
        assert sample("earshot_redis_up") == 0
        clock.now += 2
        await whole.part(2).call(_answers)
        assert sample("earshot_redis_up") == 1
        clock.now += 1
        await whole.part(2).call(_answers)
    told = [(line["event"], line["shard"]) for line in logs]
    assert told == [("redis_is_away", 2), ("redis_is_back", 2)]


async def test_a_part_is_back_when_it_has_answered_for_a_while(whole: Link, clock: Clock) -> None:
    """A master that was cut off answers, and then says that the cluster is down."""
    shard = whole.part(1)
    with capture_logs() as logs:
        for _ in range(3):
            with suppress(RedisConnectionError):
                await shard.call(_fails(AWAY))
            clock.now += 0.9
            await shard.call(_answers)
            assert shard.is_up, "only the log waits"
            clock.now += 0.9
        await shard.call(_answers)
        clock.now += 0.1
        for _ in range(2):
            await shard.call(_answers)
    told = [(line["event"], line.get("away_s")) for line in logs]
    assert told == [("redis_is_away", None), ("redis_is_back", pytest.approx(4.5))]


async def test_what_was_asked_once_of_the_whole_does_not_hide_that_all_parts_are_away(
    whole: Link,
) -> None:
    await whole.call(_answers)
    assert whole.unreachable == ""
    with suppress(RedisConnectionError):
        await whole.part(1).call(_fails(AWAY))
    assert "gone" in whole.unreachable


async def test_a_cluster_is_away_when_all_its_parts_are(whole: Link) -> None:
    assert whole.unreachable == "Redis has not been reached yet"
    for name in (1, "backlog"):
        await whole.part(name).call(_answers)
    for name in (1, "backlog"):
        assert whole.is_up
        with suppress(RedisConnectionError):
            await whole.part(name).call(_fails(AWAY))
    assert not whole.is_up
    assert "gone" in whole.unreachable
