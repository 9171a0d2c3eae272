"""The STT worker says what it waits for until its model is loaded, and its end waits for
nothing."""

import asyncio
import threading

import pytest

from common.errors import NoModel
from common.redis.store import Store
from common.settings import SttSettings
from tests.unit.workers.stt.handler.fake_engine import FakeContext, FakeEngine, publish_and_claim
from workers.stt.handler import SttHandler


async def test_it_says_what_it_waits_for_and_then_what_it_is(store: Store) -> None:
    gate, context = threading.Event(), FakeContext()

    def slowly(_: SttSettings) -> FakeEngine:
        assert gate.wait(10)
        return FakeEngine()

    task = asyncio.create_task(SttHandler(store, SttSettings(), load=slowly).start(context))
    await asyncio.wait_for(context.spoken.wait(), 10)
    assert "small.en" in context.state["waits_for"]
    gate.set()
    await task
    assert context.state == {
        "model": "fake",
        "device": "none",
        "waits_for": None,
        "recordings": True,
    }


async def test_a_model_that_cannot_be_had_ends_the_start(
    store: Store, context: FakeContext
) -> None:
    def fails(_: SttSettings) -> FakeEngine:
        raise NoModel("there is none")

    with pytest.raises(NoModel, match="there is none"):
        await SttHandler(store, SttSettings(), load=fails).start(context)


async def test_a_start_can_be_given_up_while_the_model_is_still_being_fetched(
    store: Store, context: FakeContext
) -> None:
    gate, entered = threading.Event(), threading.Event()

    def slowly(_: SttSettings) -> FakeEngine:
        entered.set()
        assert gate.wait(10)
        return FakeEngine()

    handler = SttHandler(store, SttSettings(), load=slowly)
    task = asyncio.create_task(handler.start(context))
    assert await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    await asyncio.wait_for(handler.close(), 10)
    assert "model" not in context.state
    gate.set()


async def test_closing_waits_for_nothing(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeContext
) -> None:
    engine.gate = threading.Event()
    task = asyncio.create_task(handler.handle(await publish_and_claim(store), context))
    assert await asyncio.to_thread(engine.working.wait, 10)
    await asyncio.wait_for(handler.close(), 10)
    task.cancel()
    engine.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
