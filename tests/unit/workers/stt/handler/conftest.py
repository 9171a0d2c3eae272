"""The STT handler on a real Redis with a fake model."""

import pytest

from common.redis.store import Store
from common.settings import SttSettings
from tests.unit.workers.stt.handler.fake_engine import Clock, FakeContext, FakeEngine
from workers.stt.handler import SttHandler


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def context() -> FakeContext:
    return FakeContext()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def handler(
    store: Store, engine: FakeEngine, context: FakeContext, clock: Clock
) -> SttHandler:
    made = SttHandler(store, SttSettings(), load=lambda _: engine, clock=clock)
    await made.start(context)
    return made
