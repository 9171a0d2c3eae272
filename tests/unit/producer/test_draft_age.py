"""A draft that waits while the host is suspended grows older meanwhile."""

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from common.redis.link import Link
from common.redis.store import Store
from common.settings import LimitSettings, ListenSettings, RedisSettings
from producer import ear as ear_module
from producer.shipping import shipper as shipper_module
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper
from tests.support.ears import Post
from tests.support.outboxes import Clocks
from tests.support.speech_script import LoudnessDetector, SpeechScript, silence, speech


async def test_ear_and_shipper_count_suspension_into_the_age_of_a_draft(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = Clocks()
    for module in (ear_module, shipper_module):
        monkeypatch.setattr(module, "host_clock", lambda: clocks.clock)
    redis: Any = Redis()
    link = Link(redis, RedisSettings(), max_pause_s=0.01)
    shipper = Shipper(Store(redis, 1, LimitSettings()), link, outbox)
    post = Post(outbox)
    ear_module.Ear(
        SpeechScript(speech(1), silence(0.5)),
        LoudnessDetector(),
        ListenSettings(vad="webrtc", eager="on"),
        outbox,
        session="s1",
        realtime=True,
        added=lambda: None,
        draft_sender=post,
    ).hear()
    clocks.suspend(3_600)
    age_s = shipper.eager._clock() - post.drafts[0].spoken_at
    assert age_s == pytest.approx(3_600, abs=1)
