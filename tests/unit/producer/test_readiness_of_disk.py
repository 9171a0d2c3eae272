"""A producer whose outbox cannot be written says so, where it is asked whether it is ready."""

from common.redis.link import Link
from common.redis.store import Store
from common.settings import RedisSettings
from producer.readiness import describe_problem, explain_not_ready
from tests.support.redis_server import RedisServer


class Kept:
    disk_failure = ""


async def test_a_failing_disk_is_a_reason(store: Store, redis_server: RedisServer) -> None:
    link = Link(store.redis, RedisSettings(url=redis_server.url), max_pause_s=0.1)
    outbox = Kept()
    assert await explain_not_ready(object(), link, outbox) == ""
    assert describe_problem(object(), link, outbox) == ""
    outbox.disk_failure = "database or disk is full"
    assert await explain_not_ready(object(), link, outbox) == (
        "the disk of the outbox fails (database or disk is full): what is heard waits in memory"
    )
    assert describe_problem(object(), link, outbox) == "disk fails"
