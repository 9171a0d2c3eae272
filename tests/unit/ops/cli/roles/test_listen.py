"""While a sound system takes its time to open the microphone, the rest of `earshot listen` runs."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from common.errors import NoMicrophone
from common.settings.loading import load_settings
from ops.cli.roles.producer_run import ProducerRun
from ops.cli.terminal.mute_signal import MuteSignal
from producer.sources.mute import Mute


class SlowMicrophone:
    """Answers when it is let, and then there is none."""

    name = "slow"
    is_live = True
    frame_samples = 480

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.let = threading.Event()

    def __enter__(self) -> None:
        self.asked.set()
        assert self.let.wait(20), "the event loop stood still"
        raise NoMicrophone("there is none")


@pytest.fixture
def signals() -> Iterator[MuteSignal]:
    before = signal.getsignal(signal.SIGUSR1)
    yield MuteSignal()
    signal.signal(signal.SIGUSR1, before)


async def test_a_slow_sound_system_holds_up_nothing_else(signals: MuteSignal) -> None:
    microphone: Any = SlowMicrophone()
    settings = load_settings({"listen": {"vad": "webrtc"}})
    run = ProducerRun(settings, microphone, Mute(False), signals, True)
    opening = asyncio.create_task(run.run(asyncio.Event()))
    assert await asyncio.to_thread(microphone.asked.wait, 20)
    microphone.let.set()
    with pytest.raises(NoMicrophone):
        await opening
