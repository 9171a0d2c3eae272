"""A sweep names the setting by which a count limit can be raised."""

from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from common.redis.link import Link
from common.redis.store import Store
from common.settings import ListenSettings, RedisSettings, Settings
from ops.jobs.execution import JobContext
from ops.jobs.tasks.sweep import run
from tests.conftest import FAST


async def test_what_a_count_limit_cost_is_logged_with_its_setting(
    store: Store, tmp_path: Path
) -> None:
    redis: Any = store.redis
    tight = Store(redis, 1, FAST.model_copy(update={"dead_max": 2}))
    for number in range(5):
        await redis.xadd(tight.all_shards()[0].dead, {"id": number})
    listen = ListenSettings(outbox=str(tmp_path))
    settings = Settings.model_construct().model_copy(update={"listen": listen})
    link = Link(redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.05)
    with capture_logs() as lines:
        assert await run(JobContext(settings, tight, link, "sweep-1"), {}) == {"outbox_rows": 0}
    assert [(line["event"], line["of"], line["count"], line["setting"]) for line in lines] == [
        ("oldest_dropped", "dead", 3, "EARSHOT_LIMITS__DEAD_MAX")
    ]
