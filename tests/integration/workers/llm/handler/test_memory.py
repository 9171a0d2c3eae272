"""The conversation is remembered: the last rounds are in every request, and turns that waited
together are one question."""

from common.events import Reply, Skipped
from common.redis.store import Store
from common.transitions.claims import Settled
from ops.demo.standin.api.protocol import Message
from ops.demo.standin.wit.replies import reply_to
from tests.integration.workers.llm.handler.chatty_handler import (
    DEFAULT_PROMPT,
    ChattyLlmHandler,
    running_handler,
    spoken,
)
from tests.support.llm_handler import SESSION
from tests.support.standin_server import StandIn
from workers.loop.handler import Delivery

CONVERSATION = (
    "Turn on the light.",
    "What time is it?",
    "My name is Ada.",
    "Tell me a joke.",
    "Turn off the light.",
    "Thank you.",
    "What is my name?",
)


async def test_turn_seven_is_answered_from_turn_three(harness: ChattyLlmHandler) -> None:
    for text in CONVERSATION:
        await harness.publish(text)
        await harness.answer_next()
    replies = await harness.events(Reply)
    assert [reply.turn for reply in replies] == list(range(1, 8))
    assert replies[-1].data.text == "You told me that your name is Ada."
    *_, last = harness.prompts()
    assert last[0] == {"role": "system", "content": DEFAULT_PROMPT}
    talk = [message["content"] for message in last[1:]]
    assert talk[::2] == list(CONVERSATION[1:])  # the last five rounds, and the question
    assert talk[1::2] == [reply.data.text for reply in replies[1:6]]
    assert await harness.redis.llen(harness.shard.history(SESSION)) == 10
    # nothing else tells the name: without turn 3 the same question has another answer
    others = [message for message in last if message["content"] != CONVERSATION[2]]
    assert not any("Ada" in message["content"] for message in others)
    assert "Ada" not in reply_to([Message.model_validate(message) for message in others])


async def test_the_system_prompt_is_in_every_request(store: Store, standin: StandIn) -> None:
    async with running_handler(store, standin, system_prompt="Be kind.", rounds=1) as harness:
        for text in CONVERSATION:
            await harness.publish(text)
            await harness.answer_next()
        assert len(harness.prompts()) == len(CONVERSATION)
        for prompt in harness.prompts():
            assert prompt[0] == {"role": "system", "content": "Be kind."}
            assert [message["role"] for message in prompt].count("system") == 1


async def test_no_rounds_no_memory(store: Store, standin: StandIn) -> None:
    async with running_handler(store, standin, rounds=0) as harness:
        for _ in range(2):
            await harness.publish("hello")
            await harness.answer_next()
        assert [len(prompt) for prompt in harness.prompts()] == [2, 2]
        assert not await store.redis.exists(harness.shard.history(SESSION))


async def test_turns_that_wait_together_are_answered_as_one(harness: ChattyLlmHandler) -> None:
    harness.standin.control(reply="both")
    for text in ("turn on the light", "and the radio"):
        await harness.publish(text)
    assert await harness.answer_next() is Settled.OK
    assert [spoken(prompt) for prompt in harness.prompts()] == [
        ["turn on the light\nand the radio"]
    ]
    (skipped,) = await harness.events(Skipped)
    assert (skipped.turn, skipped.data.reason, skipped.data.into) == (1, "merged", 2)
    (reply,) = await harness.events(Reply)
    assert reply.turn == 2
    await harness.publish("thank you")
    await harness.answer_next()
    assert spoken(harness.prompts()[-1]) == ["turn on the light\nand the radio", "thank you"]


async def test_no_more_than_max_merge_at_once(store: Store, standin: StandIn) -> None:
    async with running_handler(store, standin, max_merge=2) as harness:
        for number in range(5):
            await harness.publish(f"line {number}")
        for _ in range(3):
            assert await harness.answer_next() is Settled.OK
        assert [spoken(prompt)[-1] for prompt in harness.prompts()] == [
            "line 0\nline 1",
            "line 2\nline 3",
            "line 4",
        ]
        assert await harness.nothing_waits()


async def test_work_that_was_delivered_often_is_not_merged(harness: ChattyLlmHandler) -> None:
    for text in ("one", "two"):
        await harness.publish(text)
    delivery = await harness.take_wake_up()
    again = Delivery(delivery.claim, delivery.fields, 3)
    assert await harness.handler.handle(again, harness.context) is Settled.OK
    assert [reply.turn for reply in await harness.events(Reply)] == [1]
