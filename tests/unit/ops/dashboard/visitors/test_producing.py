"""What a visitor said stays on the dashboard's disk until Redis has it, or for a person to see."""

from pathlib import Path

from structlog.testing import capture_logs

from common.keys import Shard
from common.redis.link import Link
from common.redis.store import Store
from common.settings import ListenSettings, RedisSettings, Settings
from common.utterance import Utterance
from ops.dashboard.visitors.producing import Producing

SESSION = "web-0a1b2c3d"


async def met() -> None:
    """Redis is there from the start."""


async def test_what_redis_will_never_take_is_kept(store: Store, tmp_path: Path) -> None:
    settings = Settings(listen=ListenSettings(outbox=str(tmp_path), vad="webrtc"))
    link = Link(store.redis, RedisSettings(), max_pause_s=0.1)
    producing = Producing(store, link, settings, met)
    with producing._outbox(SESSION) as outbox:
        outbox.add(Utterance(id="a", session=SESSION, audio=b"--", samples=1), age_s=0)
    await store.redis.set(Shard(0).utterances, "a foreign value")
    with capture_logs() as lines:
        producing.start()
        assert producing._leftovers is not None
        await producing._leftovers
    assert "utterance_parked" in [line["event"] for line in lines]
    with producing._outbox(SESSION) as outbox:
        assert outbox.depth().parked == 1
