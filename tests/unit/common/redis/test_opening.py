"""Redis is waited for while it is away, and not when only a person can help."""

from collections.abc import Awaitable, Callable

import pytest
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from common.errors import RedisUnusable
from common.redis.link import Link
from common.redis.opening import make_link, try_redis, wait_for_redis
from common.redis.store import Store
from common.settings import Settings

AWAY = RedisConnectionError("refused")


@pytest.fixture
def settings() -> Settings:
    return Settings(worker={"backoff_max_s": 1})


@pytest.fixture
def link(clean_store: Store, settings: Settings) -> Link:
    return make_link(clean_store, settings)


def _failing(link: Link, *errors: Exception) -> Callable[[], Awaitable[None]]:
    """What fails once with each of these errors, and then no more."""
    left = list(errors)

    async def command() -> None:
        if left:
            raise left.pop(0)

    async def prepare() -> None:
        await link.call(command)

    return prepare


async def test_what_must_be_prepared_is_tried_until_redis_answers(
    clean_store: Store, settings: Settings, link: Link
) -> None:
    await wait_for_redis(link, clean_store, settings, _failing(link, AWAY, AWAY))
    assert (link.is_up, link.outages) == (True, 2)


async def test_one_try_tells_whether_redis_is_there(
    clean_store: Store, settings: Settings, link: Link
) -> None:
    prepare = _failing(link, AWAY)
    assert await try_redis(link, clean_store, settings, prepare) is False
    assert await try_redis(link, clean_store, settings, prepare) is True


@pytest.mark.parametrize(
    "error",
    [AuthenticationError("WRONGPASS"), ResponseError("WRONGTYPE Operation against a key")],
)
async def test_nothing_is_waited_for_that_only_a_person_can_mend(
    clean_store: Store, settings: Settings, link: Link, error: Exception
) -> None:
    with pytest.raises(RedisUnusable, match="Redis at"):
        await wait_for_redis(link, clean_store, settings, _failing(link, error))


async def test_a_bug_passes_on(clean_store: Store, settings: Settings, link: Link) -> None:
    with pytest.raises(KeyError):
        await wait_for_redis(link, clean_store, settings, _failing(link, KeyError("a bug")))
