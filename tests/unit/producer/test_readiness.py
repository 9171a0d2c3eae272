"""A producer is ready when its source runs and Redis answers, and says what is missing."""

from common.redis.link import Link
from common.redis.store import Store
from common.settings import RedisSettings
from producer.readiness import trouble, unready
from tests.support.redis_server import RedisServer


class Microphone:
    is_away = False


async def test_it_says_what_is_missing(store: Store, redis_server: RedisServer) -> None:
    link = Link(store.redis, RedisSettings(url=redis_server.url), max_pause_s=0.1)
    microphone = Microphone()
    assert await unready(microphone, link) == ""
    assert await unready(object(), link) == ""
    microphone.is_away = True
    assert await unready(microphone, link) == "the microphone has failed and is waited for"
    assert trouble(microphone, link) == "no microphone"
    microphone.is_away = False
    redis_server.stop()
    assert "cannot be reached" in await unready(microphone, link)
    assert trouble(microphone, link) == "Redis away"
    redis_server.start()
    assert await unready(microphone, link) == ""
    assert trouble(microphone, link) == ""
