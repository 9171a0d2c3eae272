"""What waits in Redis is shown at each scrape: backlog, age, workers, dead letters; without Redis
no number is made up."""

import asyncio
import json
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily

from common.keys import WORKERS, worker_key
from common.redis.link import Link
from common.redis.store import Store
from common.settings import RedisSettings
from common.status.backlog_metrics import FRESH_S, BacklogCollector, families
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.support.redis_server import RedisServer
from tests.transitions.steps import bury, hear, read, redis


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 2 * FRESH_S
        return self.now


def link_of(store: Store) -> Link:
    return Link(store.redis, RedisSettings(), max_pause_s=0.1)


def samples(found: Iterable[GaugeMetricFamily]) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in found
        for sample in family.samples
    }


async def scraped(collector: BacklogCollector) -> dict[tuple[str, ...], float]:
    return samples(await asyncio.to_thread(collector.collect))


async def test_what_stands_in_redis_is_shown(clean_store: Store) -> None:
    collector = BacklogCollector(clean_store, link_of(clean_store), clock=Clock())
    empty = await scraped(collector)
    assert set(empty.values()) == {0}
    await hear(clean_store, "u1", "u2", "u3")
    await bury(clean_store, *await read(clean_store))
    await read(clean_store)
    await publish(clean_store, Utterance(id="t1", session="other", text="hello"))
    await redis(clean_store).zadd(WORKERS, {"llm-1": 1})
    await redis(clean_store).set(worker_key("llm-1"), json.dumps({"role": "llm", "started_at": 1}))
    shown = await scraped(collector)
    assert shown.keys() == empty.keys()
    assert shown["earshot_backlog_waiting_entries", "utterances"] == 1
    assert shown["earshot_backlog_in_hand_entries", "utterances"] == 1
    assert shown["earshot_backlog_waiting_entries", "turns"] == 1
    assert shown["earshot_backlog_oldest_seconds", "recordings"] == 0
    assert shown["earshot_backlog_oldest_seconds", "utterances"] >= 0
    assert shown["earshot_workers", "llm"] == 1
    assert shown["earshot_workers", "stt"] == 0
    assert shown["earshot_dead_letter_entries",] == 1
    assert shown["earshot_dead_letter_bytes",] > 0
    assert shown["earshot_open_sessions",] == 2


async def test_scrapers_that_come_together_share_a_snapshot(clean_store: Store) -> None:
    collector = BacklogCollector(clean_store, link_of(clean_store), clock=lambda: 0.0)
    before = await scraped(collector)
    await hear(clean_store, "u1")
    assert await scraped(collector) == before


async def test_without_redis_there_are_no_numbers(store: Store, redis_server: RedisServer) -> None:
    collector = BacklogCollector(store, link_of(store), clock=Clock())
    assert await scraped(collector)
    redis_server.stop()
    assert await scraped(collector) == {}
    redis_server.start()
    assert await scraped(collector)


def test_the_names_are_known_without_redis() -> None:
    assert [family.name for family in families()]
    assert samples(families()) == {}
