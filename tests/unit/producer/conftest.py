"""An ear that hears what a test speaks, and its outbox."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.settings import ListenSettings
from producer.ear import Ear
from producer.shipping.drafts import DraftSender
from producer.shipping.outbox import Outbox
from producer.sources.source import Source
from tests.support.ears import MakeEar
from tests.support.outboxes import FIXED_CLOCK
from tests.support.speech_script import LoudnessDetector


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path, "s1", max_bytes=10**7, max_age_s=60, clock=FIXED_CLOCK) as outbox:
        yield outbox


@pytest.fixture
def make(outbox: Outbox) -> MakeEar:
    def made(
        source: Source,
        *,
        realtime: bool = False,
        added: Callable[[], None] = lambda: None,
        draft_sender: DraftSender | None = None,
        clock: Callable[[], float] = lambda: 100.0,
        **settings: Any,
    ) -> Ear:
        return Ear(
            source,
            LoudnessDetector(),
            ListenSettings(vad="webrtc", **settings),
            outbox,
            session="s1",
            realtime=realtime,
            added=added,
            draft_sender=draft_sender,
            sign_s=10,
            clock=clock,
        )

    return made
