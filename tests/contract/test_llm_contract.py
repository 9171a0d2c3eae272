"""What the LLM worker relies on holds: replies stream and are counted, refusals are understood, and
what nobody waits for is not generated. The same for the stand-in (in `make test`) and for a real
vLLM (in `make test-vllm`)."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from types import AsyncGeneratorType
from typing import Any, Final

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from common.errors import EarshotError, Transient
from common.events import Reply
from common.redis.store import Store
from common.settings import LlmSettings
from common.transitions.answering import Message
from common.transitions.claims import Settled
from tests.contract.servers import KEY, TINY, WINDOW, Served
from tests.support.llm_handler import SESSION, LlmHandlerHarness
from tests.support.waiting import until
from workers.llm.answers.finished import Finished
from workers.llm.meanings.errors import ContextTooLong, ReplyTooLong, SystemRoleRefused
from workers.llm.persona import Personas
from workers.llm.prompt import Prompt, Round
from workers.llm.request import Requests
from workers.llm.server.llm_server import LlmServer

# A start of vLLM is part of the first test that asks for a server.
pytestmark = pytest.mark.timeout(900)

HELLO: Final[list[Message]] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "hello"},
]
LONG: Final = WINDOW - 200


def settings_for(served: Served, **changes: Any) -> LlmSettings:
    values = {"base_url": served.base_url, "api_key": SecretStr(KEY), "delta_interval_ms": 0}
    return LlmSettings.model_validate(values | changes)


@asynccontextmanager
async def connected(served: Served, **changes: Any) -> AsyncIterator[LlmServer]:
    server = LlmServer(settings_for(served, **changes))
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def running_handler(
    store: Store, served: Served, **changes: Any
) -> AsyncIterator[LlmHandlerHarness]:
    values = {"api_key": SecretStr(KEY), "min_tokens": 8, "max_tokens": 8}
    async with LlmHandlerHarness.running(store, served.base_url, **(values | changes)) as harness:
        yield harness


async def ask(
    server: LlmServer, messages: list[Message] = HELLO, max_tokens: int = 64
) -> tuple[list[str], Finished]:
    """The pieces of the reply and how it ended."""
    *pieces, finished = [part async for part in server.generate(messages, max_tokens)]
    assert isinstance(finished, Finished)
    return list(map(str, pieces)), finished


async def failure(server: LlmServer, messages: list[Message] = HELLO) -> EarshotError:
    with pytest.raises(EarshotError) as raised:
        await ask(server, messages)
    return raised.value


async def idle(served: Served) -> None:
    await asyncio.to_thread(served.wait_for, lambda served: not served.generating())


# -- replies


async def test_a_reply_streams_and_is_counted(served: Served) -> None:
    async with connected(served) as server:
        await server.probe()
        assert (server.model, server.window) == (TINY, WINDOW)
        pieces, finished = await ask(server)
    assert "".join(pieces).strip()
    assert finished.finish_reason == "length"
    assert finished.model == TINY
    assert finished.usage is not None
    assert finished.usage["completion_tokens"] == 64
    assert finished.usage["total_tokens"] == finished.usage["prompt_tokens"] + 64


async def test_tokens_are_counted_as_the_usage_counts_them(served: Served) -> None:
    """Messages add the same to their texts, whatever those are: what planning relies on."""
    overheads = set()
    async with connected(served, model=TINY) as server:
        for text in ("hello", "Turn on the light in the kitchen, please."):
            messages: list[Message] = [{"role": "user", "content": text}]
            _, finished = await ask(server, messages, max_tokens=1)
            counted = await server.tokenizer.count(TINY, text)
            assert finished.usage is not None
            assert counted is not None
            overheads.add(finished.usage["prompt_tokens"] - counted)
    (overhead,) = overheads
    assert 0 < overhead < 10


async def test_a_turn_is_answered(served: Served, store: Store) -> None:
    async with running_handler(store, served) as harness:
        await harness.publish("tell me about numbers")
        assert await harness.answer_next() is Settled.OK
        (reply,) = await harness.events(Reply)
    assert (reply.turn, reply.data.finish_reason, reply.data.model) == (1, "length", TINY)
    assert reply.data.usage.completion_tokens == 8


# -- refusals


async def test_a_wrong_model(served: Served) -> None:
    async with connected(served, model="gpt") as server:
        error = await failure(server)
    assert isinstance(error, Transient)
    assert error.opens_breaker
    assert "The model `gpt` does not exist" in str(error)
    assert f"it lists {TINY}: set EARSHOT_LLM__MODEL" in str(error)


@pytest.mark.parametrize(("key", "phrase"), [("", "asks for"), ("open-barley", "refuses the")])
async def test_a_wrong_key(served: Served, key: str, phrase: str) -> None:
    async with connected(served, api_key=SecretStr(key), model=TINY) as server:
        error = await failure(server)
        with pytest.raises(Transient):
            await server.probe()
    assert isinstance(error, Transient)
    assert error.opens_breaker
    assert f"{phrase} API key" in str(error).replace("an API", "API")
    assert "EARSHOT_LLM__API_KEY" in str(error)
    assert "barley" not in str(error)


async def test_a_prompt_above_the_window(served: Served) -> None:
    async with connected(served) as server:
        error = await failure(server, [{"role": "user", "content": "word " * 2 * WINDOW}])
    assert isinstance(error, ContextTooLong)
    assert error.numbers.window == WINDOW
    assert error.numbers.prompt is not None
    assert error.numbers.prompt > WINDOW


async def test_a_reply_above_the_window(served: Served) -> None:
    async with connected(served) as server:
        with pytest.raises(ReplyTooLong, match="EARSHOT_LLM__MAX_TOKENS") as raised:
            await ask(server, max_tokens=WINDOW + 1)
    assert WINDOW in raised.value.numbers


async def test_a_history_that_was_refused_is_shortened_and_asked_again(served: Served) -> None:
    """The window is not known here: the model is named, and nobody has asked for the list."""
    rounds = tuple(Round(f"question {number}", "word " * 300) for number in range(12))
    prompt = Prompt("Be kind.", rounds, "and now?")
    async with connected(served, model=TINY) as server:
        persona = Personas(settings_for(served, min_tokens=8, max_tokens=8)).default
        with capture_logs() as logged:
            *pieces, finished = [part async for part in Requests(server).ask(prompt, persona)]
        assert pieces
        assert isinstance(finished, Finished)
        assert finished.usage is not None
        assert server.window == WINDOW  # from the refusal
    assert [line["event"] for line in logged].count("history_shortened") == 1
    assert WINDOW / 3 < finished.usage["prompt_tokens"] < WINDOW


async def test_a_long_conversation_stays_inside_of_the_window(served: Served, store: Store) -> None:
    """Rounds are left out beforehand: no request is refused, and no reply cut for lack of room."""
    async with running_handler(store, served, rounds=50, min_tokens=300, max_tokens=300) as harness:
        await harness.handler.probe()
        with capture_logs() as logged:
            for number in range(9):
                await harness.publish(f"question {number}")
                assert await harness.answer_next() is Settled.OK
        replies = await harness.events(Reply)
    assert "history_shortened" not in {line["event"] for line in logged}
    assert [reply.data.usage.completion_tokens for reply in replies] == [300] * 9
    assert WINDOW / 2 < replies[-1].data.usage.prompt_tokens <= WINDOW - 300


async def test_a_template_that_refuses_the_system_role(refusing: Served, store: Store) -> None:
    prompt = "Be kind. " * 20
    async with connected(refusing) as server:
        assert isinstance(await failure(server), SystemRoleRefused)
    async with running_handler(store, refusing, system_prompt=prompt) as harness:
        with capture_logs() as logged:
            for text in ("hello", "and again"):
                await harness.publish(text)
                assert await harness.answer_next() is Settled.OK
        replies = await harness.events(Reply)
    events = [line["event"] for line in logged]
    assert events.count("system_role_refused") == 1
    assert len(replies) == 2
    for reply in replies:  # the prompt is in every request nevertheless
        assert reply.data.usage.prompt_tokens > 40


# -- what nobody waits for


async def test_closing_a_reply_stops_the_server(served: Served) -> None:
    await idle(served)
    before = served.generated()
    async with connected(served) as server:
        with served.slowly():
            async with aclosing(server.generate(HELLO, LONG)) as pieces:
                await anext(pieces)
            await idle(served)
    assert served.generated() - before < LONG


async def test_closing_a_reply_leaves_no_reader_to_the_garbage_collector(served: Served) -> None:
    """It runs in any thread, and ends what it finds there while the loop may be ending it."""
    gc.collect()
    gc.disable()
    try:
        async with connected(served) as server:
            with served.slowly():
                async with aclosing(server.generate(HELLO, LONG)) as pieces:
                    await anext(pieces)
            del pieces
            await until(lambda: not readers())
    finally:
        gc.enable()


def readers() -> list[Any]:
    """The async generators that read a response's body."""
    generators = [one for one in gc.get_objects() if type(one) is AsyncGeneratorType]
    return [one for one in generators if one.__name__ == "aiter_raw"]


async def test_newer_speech_stops_the_server(served: Served, store: Store) -> None:
    await idle(served)
    before = served.generated()
    async with running_handler(store, served, min_tokens=LONG, max_tokens=LONG) as harness:
        await harness.publish("tell me about numbers", interrupt=True)
        with served.slowly():
            answering = asyncio.create_task(harness.answer_next())
            await until(harness.deltas)
            await harness.publish("stop")
            assert await answering is Settled.OK
            await idle(served)
        (reply,) = await harness.events(Reply)
        history = await harness.redis.llen(harness.shard.history(SESSION))
    assert reply.data.interrupted
    assert reply.data.text
    assert history == 2
    assert 0 < served.generated() - before < LONG


# -- a server that dies: the last test, it takes the others' server down for a while


async def test_a_server_killed_in_mid_stream(served: Served, store: Store) -> None:
    async with running_handler(store, served, min_tokens=LONG, max_tokens=LONG) as harness:
        await harness.publish("tell me about numbers")
        delivery = await harness.take_wake_up()
        with served.slowly():
            answering = asyncio.create_task(harness.handler.handle(delivery, harness.context))
            await until(harness.deltas)
            await asyncio.to_thread(served.kill)
            with pytest.raises(Transient) as broken:
                await answering
        assert not broken.value.opens_breaker
        with pytest.raises(Transient) as refused:
            await harness.handler.handle(delivery, harness.context)
        assert refused.value.opens_breaker
        assert "cannot be reached" in str(refused.value)
        await asyncio.to_thread(served.start)
        assert await harness.handler.handle(delivery, harness.context) is Settled.OK
        (reply,) = await harness.events(Reply)
        deltas = await harness.deltas()
    assert (reply.data.attempt, reply.data.finish_reason) == (3, "length")
    assert {delta.data.attempt for delta in deltas} == {1, 3}
    last = [delta.data for delta in deltas if delta.data.attempt == 3]
    assert [delta.index for delta in last] == list(range(len(last)))
    assert "".join(delta.text for delta in last) == reply.data.text
