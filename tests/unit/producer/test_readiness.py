"""A producer is ready when its source runs and Redis answers, and says what is missing."""

import pytest

from common.redis.link import Link
from common.redis.store import Store
from common.settings import RedisSettings
from producer import readiness
from producer.readiness import describe_problem, explain_not_ready
from tests.support.redis_server import RedisServer


class Microphone:
    is_away = False


async def test_it_says_what_is_missing(store: Store, redis_server: RedisServer) -> None:
    link = Link(store.redis, RedisSettings(url=redis_server.url), max_pause_s=0.1)
    microphone = Microphone()
    assert await explain_not_ready(microphone, link) == ""
    assert await explain_not_ready(object(), link) == ""
    microphone.is_away = True
    assert (
        await explain_not_ready(microphone, link) == "the microphone has failed and is waited for"
    )
    assert describe_problem(microphone, link) == "no microphone"
    microphone.is_away = False
    redis_server.stop()
    assert "cannot be reached" in await explain_not_ready(microphone, link)
    assert describe_problem(microphone, link) == "Redis away"
    redis_server.start()
    assert await explain_not_ready(microphone, link) == ""
    assert describe_problem(microphone, link) == ""


async def test_a_redis_that_does_not_answer_is_not_waited_for(
    store: Store, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "ANSWER_S", 0.1)
    link = Link(store.redis, RedisSettings(url=redis_server.url), max_pause_s=0.1)
    redis_server.pause()
    assert await explain_not_ready(object(), link) == "Redis has not answered for 0.1 s"
    redis_server.resume()
