"""The session chooses who answers, else the producer, else the settings."""

from common.redis.store import Store
from common.transitions.claims import Settled
from common.transitions.personas import set_persona
from tests.integration.workers.llm.handler.chatty_handler import (
    DEFAULT_PROMPT,
    ChattyLlmHandler,
    running_handler,
)
from tests.support.llm_handler import SESSION
from tests.support.standin_server import StandIn
from workers.llm.persona import Personas


async def test_the_producer_chooses_who_answers(harness: ChattyLlmHandler) -> None:
    guide = Personas(harness.settings).get("tour-guide")
    await harness.publish("what is this?", persona="tour-guide")
    await harness.answer_next()
    await harness.publish("and that?")
    await harness.answer_next()
    first, second = harness.standin.requests()
    assert first.messages[0]["content"] == guide.system_prompt
    assert first.params["temperature"] == guide.temperature
    assert first.params["max_tokens"] == guide.min_tokens
    assert second.messages[0]["content"] == DEFAULT_PROMPT
    assert second.params["temperature"] == harness.settings.temperature
    assert len(second.messages) == 4  # the conversation is the same


async def test_the_session_chooses_over_the_producer(harness: ChattyLlmHandler) -> None:
    await set_persona(harness.store, SESSION, "Fitness Coach")
    await harness.publish("what is this?", persona="tour-guide")
    await harness.answer_next()
    (request,) = harness.standin.requests()
    coach = Personas(harness.settings).get("fitness-coach")
    assert request.messages[0]["content"] == coach.system_prompt


async def test_a_persona_nobody_knows_answers_as_the_default(harness: ChattyLlmHandler) -> None:
    await harness.publish("what is this?", persona="butler")
    assert await harness.answer_next() is Settled.OK
    assert harness.prompts()[0][0]["content"] == DEFAULT_PROMPT


async def test_a_persona_remembers_its_own_number_of_rounds(store: Store, standin: StandIn) -> None:
    async with running_handler(store, standin, rounds=1) as harness:
        for number in range(4):
            await harness.publish(f"question {number}", persona="customer-support")
            await harness.answer_next()
        assert len(harness.prompts()[-1]) == 1 + 2 * 3 + 1
        await harness.publish("who are you?", persona="assistant")
        await harness.answer_next()
        assert len(harness.prompts()[-1]) == 1 + 2 + 1
        assert await harness.redis.llen(harness.shard.history(SESSION)) == 2
