"""A prompt leaves room for the reply in the model's window, and nothing is counted where it does so
by far; a request that the server refuses is changed and sent again, until nothing can change."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

import pytest

from common.errors import Permanent
from common.settings import LlmSettings
from common.transitions.answering import Message
from workers.llm.answers.finished import Finished
from workers.llm.meanings.errors import ContextTooLong, SystemRoleRefused, WindowFull
from workers.llm.meanings.token_numbers import TokenNumbers
from workers.llm.persona import Personas
from workers.llm.prompt import Prompt, Round
from workers.llm.request import Request, Requests
from workers.llm.server.knowledge import Knowledge
from workers.llm.server.llm_server import LlmServer

TALK = tuple(Round(f"question {number} " + "word " * 18, "word " * 20) for number in range(5))
PROMPT = Prompt("be kind", TALK, "and now")
PERSONA = Personas(LlmSettings(min_tokens=100, max_tokens=100)).default
DONE = Finished("stop", "m")


class Tokenizer:
    """One token a word."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def count(self, model: str, text: str) -> int | None:
        self.asked.append((model, text))
        return len(text.split())


class Server:
    """As much of an LLM server as requests need. Each of `answers` is what one request gets."""

    def __init__(self, window: int | None, *answers: Sequence[Any]) -> None:
        self.knowledge = Knowledge(LlmSettings(context_tokens=window or 0))
        self.model = "m"
        self.tokenizer = Tokenizer()
        self.answers = list(answers)
        self.asked: list[list[Message]] = []

    @property
    def window(self) -> int | None:
        return self.knowledge.window(self.model)

    async def generate(
        self, messages: list[Message], max_tokens: int, temperature: float
    ) -> AsyncGenerator[str | Finished, None]:
        self.asked.append(messages)
        for part in self.answers.pop(0):
            if isinstance(part, Exception):
                raise part
            yield part


def requests_to(server: Server) -> Requests:
    return Requests(cast("LlmServer", server))


async def reply_of(server: Server, prompt: Prompt = PROMPT) -> list[Any]:
    return [part async for part in requests_to(server).ask(prompt, PERSONA)]


async def test_without_a_window_everything_stays() -> None:
    server = Server(None)
    assert await requests_to(server).fit(PROMPT, 50) == PROMPT
    assert server.tokenizer.asked == []


async def test_what_fits_by_its_bytes_needs_no_count() -> None:
    server = Server(2_048)
    assert await requests_to(server).fit(PROMPT, 200) == PROMPT
    assert server.tokenizer.asked == []


async def test_the_newest_rounds_that_fit_stay() -> None:
    """A round has 40 tokens and 2 messages of 8 each; around them 4 + 2 x 8 + 32."""
    for window, rounds in ((52 + 100 + 3 * 56, 3), (52 + 100 + 3 * 56 - 1, 2), (120, 0), (10, 0)):
        fitted = await requests_to(Server(window)).fit(PROMPT, 100)
        assert fitted == Prompt("be kind", TALK[len(TALK) - rounds :], "and now")


async def test_what_was_counted_is_not_asked_for_again() -> None:
    server = Server(300)
    requests = requests_to(server)
    await requests.fit(PROMPT, 100)
    asked = len(server.tokenizer.asked)
    longer = Prompt("be kind", (*TALK[1:], Round("and now", "yes")), "what else")
    await requests.fit(longer, 100)
    assert [text for _, text in server.tokenizer.asked[asked:]] == ["yes", "what else"]


async def test_another_model_counts_anew() -> None:
    server = Server(300)
    requests = requests_to(server)
    await requests.fit(PROMPT, 100)
    asked = len(server.tokenizer.asked)
    server.model = "n"
    await requests.fit(PROMPT, 100)
    again = server.tokenizer.asked[asked:]
    assert len(again) == asked
    assert {model for model, _ in again} == {"n"}


async def test_usage_makes_the_plan_exact() -> None:
    """This template adds 2 tokens a message and none else: more fits than was thought first."""
    server = Server(52 + 100 + 3 * 56)
    requests = requests_to(server)
    fitted = await requests.fit(PROMPT, 100)
    assert len(fitted.rounds) == 3
    usage = {"prompt_tokens": 4 + 3 * 40 + 8 * 2}
    requests.learn(fitted, 8, usage)
    requests.learn(Prompt("be kind", (), "and now"), 2, {"prompt_tokens": 4 + 2 * 2})
    assert len((await requests.fit(PROMPT, 100)).rounds) == 4


async def test_a_reply_without_usage_teaches_nothing() -> None:
    server = Server(300)
    requests = requests_to(server)
    before = await requests.fit(PROMPT, 100)
    requests.learn(before, 8, None)
    requests.learn(before, 8, {"prompt_tokens": 0})
    assert await requests.fit(PROMPT, 100) == before


# -- refusals


async def test_what_is_not_refused_is_asked_once() -> None:
    server = Server(None, ["one ", "two", DONE])
    assert await reply_of(server) == ["one ", "two", DONE]
    assert server.asked == [PROMPT.messages()]


async def test_a_refused_system_role_is_asked_without_and_remembered() -> None:
    server = Server(None, [SystemRoleRefused("no")], ["yes", DONE], ["again", DONE])
    assert await reply_of(server) == ["yes", DONE]
    assert await reply_of(server) == ["again", DONE]
    without = PROMPT.messages(system_role=False)
    assert server.asked == [PROMPT.messages(), without, without]


async def test_a_refusal_that_no_other_shape_can_mend_is_raised() -> None:
    twice = [SystemRoleRefused("no")], [SystemRoleRefused("still no")]
    with pytest.raises(SystemRoleRefused, match="still no"):
        await reply_of(Server(None, *twice))
    # without counts the reply is halved as long as it is worth asking for: 100, 50, 25 tokens
    server = Server(None, *[[ContextTooLong("too long")]] * 3)
    with pytest.raises(ContextTooLong):
        await reply_of(server, Prompt("be kind", (), "x"))
    assert server.answers == []


async def test_a_window_that_the_refusal_tells_is_fitted() -> None:
    window = 52 + 100 + 3 * 56
    server = Server(None, [ContextTooLong("too long", TokenNumbers(window))], ["yes", DONE])
    assert await reply_of(server) == ["yes", DONE]
    assert server.asked[1] == Prompt("be kind", TALK[-3:], "and now").messages()


async def test_a_prompt_that_is_refused_again_and_again_loses_all_rounds() -> None:
    refusal = ContextTooLong("too long", TokenNumbers(700, prompt=800))
    server = Server(None, [refusal], [refusal], ["yes", DONE])
    assert await reply_of(server) == ["yes", DONE]
    sizes = [len(messages) for messages in server.asked]
    assert sizes[0] == 12
    assert 2 < sizes[1] < 12
    assert sizes[2] == 2


@pytest.mark.parametrize(
    ("refusal", "raised"),
    [(SystemRoleRefused("no"), SystemRoleRefused), (ContextTooLong("full"), WindowFull)],
)
async def test_nothing_is_asked_again_once_a_piece_has_come(
    refusal: Permanent, raised: type[Permanent]
) -> None:
    server = Server(None, ["one ", refusal])
    with pytest.raises(raised):
        await reply_of(server)
    assert len(server.asked) == 1


def test_a_request_is_shortened_by_the_servers_counts_first_and_without_rounds_then() -> None:
    refusal = ContextTooLong("too long", TokenNumbers(700, prompt=800))
    request = Request(PROMPT, 100, 0.7, system_role=True)
    shorter = request.shorten(refusal)
    assert 0 < len(shorter.prompt.rounds) < len(TALK)
    assert shorter.shorten(refusal).prompt == Prompt("be kind", (), "and now")
    assert request.prompt == PROMPT
