"""Speech that no worker could ever decode does not leave the mic host. It is parked with the
reason, once, and what was said after it goes out.
"""

import asyncio

import pytest
from structlog.testing import capture_logs

from common.redis.client import connect
from common.redis.link import Link
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.utterance import Utterance
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper
from tests.integration.producer.waiting_utterances import heard_ids, make_utterance
from tests.support.command_line import DEADLINE_S
from tests.support.redis_server import RedisServer


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rate": 48_000}, "announced at 48000 Hz"),
        ({"samples": 999}, "999 samples are announced"),
        ({"codec": "flac"}, "no readable FLAC"),
        ({"audio": bytes(3_840_002), "samples": 1_920_001}, "at most 120.0 s"),
    ],
)
@pytest.mark.parametrize("final", [True, False])
async def test_it_is_parked_and_the_rest_goes_out(
    redis_server: RedisServer,
    outbox: Outbox,
    changes: dict[str, int | str | bytes],
    sentence: str,
    final: bool,
) -> None:
    outbox.add(make_utterance("u1"), age_s=0)
    odd: Utterance = make_utterance("odd", final=final, **changes)
    outbox.add(odd, age_s=0)
    outbox.add(make_utterance("u2"), age_s=0)
    settings = RedisSettings(url=redis_server.url)
    store = Store(connect(settings), 1, LimitSettings())
    shipper = Shipper(store, Link(store.redis, settings, max_pause_s=0.1), outbox)
    with capture_logs() as logs:
        task = asyncio.create_task(shipper.run())
        async with asyncio.timeout(DEADLINE_S):
            await shipper.drained()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.redis.aclose()
    assert heard_ids(redis_server) == ["u1", "u2"]
    parked = [line for line in logs if line["event"] == "utterance_parked"]
    assert [line["utterance"] for line in parked] == ["odd"]
    assert sentence in parked[0]["why"]
    assert outbox.depth().parked == 1
