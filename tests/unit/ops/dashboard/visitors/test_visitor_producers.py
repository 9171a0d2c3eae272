"""What a visitor said stays on the dashboard's disk until Redis has it, or for a person to see."""

from pathlib import Path

from structlog.testing import capture_logs

from common.keys import Shard
from common.redis.link import Link
from common.redis.store import Store
from common.settings import ListenSettings, RedisSettings, Settings
from common.utterance import Utterance
from ops.dashboard.visitors.visitor_producers import VisitorProducers
from producer.shipping.outbox_folder import open_outbox
from tests.support.metric_samples import growth

SESSION = "web-0a1b2c3d"


async def met() -> None:
    """Redis is there from the start."""


async def test_what_redis_will_never_take_is_kept(store: Store, tmp_path: Path) -> None:
    settings = Settings(listen=ListenSettings(outbox=str(tmp_path), vad="webrtc"))
    link = Link(store.redis, RedisSettings(), max_pause_s=0.1)
    producers = VisitorProducers(store, link, settings, met)
    with open_outbox(settings.listen, SESSION, tmp_path / "dashboard") as outbox:
        outbox.add(Utterance(id="a", session=SESSION, audio=b"--", samples=1), age_s=0)
    await store.redis.set(Shard(0).utterances, "a foreign value")
    with capture_logs() as lines:
        producers.start()
        assert producers._shipping_leftovers is not None
        await producers._shipping_leftovers
    assert "utterance_parked" in [line["event"] for line in lines]
    with open_outbox(settings.listen, SESSION, tmp_path / "dashboard") as outbox:
        assert outbox.depth().parked == 1


async def test_what_an_earlier_dashboard_left_for_too_long_is_dropped_and_counted(
    store: Store, tmp_path: Path
) -> None:
    listen = ListenSettings(outbox=str(tmp_path), vad="webrtc", outbox_max_age_s=3600)
    patient = listen.model_copy(update={"outbox_max_age_s": 1e6})
    with open_outbox(patient, SESSION, tmp_path / "dashboard") as outbox:
        outbox.add(Utterance(id="a", session=SESSION, audio=b"--", samples=1), age_s=7200)
    link = Link(store.redis, RedisSettings(), max_pause_s=0.1)
    producers = VisitorProducers(store, link, Settings(listen=listen), met)
    counted = growth("earshot_outbox_dropped_total")
    with capture_logs() as lines:
        producers.start()
        assert producers._shipping_leftovers is not None
        await producers._shipping_leftovers
    assert counted() == 1
    assert [(line["event"], line["session"], line["count"]) for line in lines] == [
        ("outbox_dropped_oldest", SESSION, 1)
    ]
    assert not list((tmp_path / "dashboard").iterdir())
