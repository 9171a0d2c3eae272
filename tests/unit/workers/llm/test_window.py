"""The prompt leaves room for the reply in the model's window, and nothing is asked where it does so
by far."""

from typing import cast

from workers.llm.prompt import Prompt, Round
from workers.llm.server import LlmServer
from workers.llm.window import Window

TALK = tuple(Round(f"question {number} " + "word " * 18, "word " * 20) for number in range(5))
PROMPT = Prompt("be kind", TALK, "and now")


class Tokenizer:
    """One token a word."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def count(self, model: str, text: str) -> int | None:
        self.asked.append((model, text))
        return len(text.split())


class Server:
    """As much of an LLM server as planning needs."""

    def __init__(self, window: int | None) -> None:
        self.window = window
        self.model = "m"
        self.tokenizer = Tokenizer()


def planned(server: Server) -> Window:
    return Window(cast("LlmServer", server))


async def test_without_a_window_everything_stays() -> None:
    server = Server(None)
    assert await planned(server).fitted(PROMPT, 50) == PROMPT
    assert server.tokenizer.asked == []


async def test_what_fits_by_its_bytes_needs_no_count() -> None:
    server = Server(2_048)
    assert await planned(server).fitted(PROMPT, 200) == PROMPT
    assert server.tokenizer.asked == []


async def test_the_newest_rounds_that_fit_stay() -> None:
    """A round has 40 tokens and 2 messages of 8 each; around them 4 + 2 x 8 + 32."""
    for window, rounds in ((52 + 100 + 3 * 56, 3), (52 + 100 + 3 * 56 - 1, 2), (120, 0), (10, 0)):
        fitted = await planned(Server(window)).fitted(PROMPT, 100)
        assert fitted == Prompt("be kind", TALK[len(TALK) - rounds :], "and now")


async def test_what_was_counted_is_not_asked_for_again() -> None:
    server = Server(300)
    window = planned(server)
    await window.fitted(PROMPT, 100)
    asked = len(server.tokenizer.asked)
    longer = Prompt("be kind", (*TALK[1:], Round("and now", "yes")), "what else")
    await window.fitted(longer, 100)
    assert [text for _, text in server.tokenizer.asked[asked:]] == ["yes", "what else"]


async def test_another_model_counts_anew() -> None:
    server = Server(300)
    window = planned(server)
    await window.fitted(PROMPT, 100)
    asked = len(server.tokenizer.asked)
    server.model = "n"
    await window.fitted(PROMPT, 100)
    again = server.tokenizer.asked[asked:]
    assert len(again) == asked
    assert {model for model, _ in again} == {"n"}


async def test_usage_makes_the_plan_exact() -> None:
    """This template adds 2 tokens a message and none else: more fits than was thought first."""
    server = Server(52 + 100 + 3 * 56)
    window = planned(server)
    fitted = await window.fitted(PROMPT, 100)
    assert len(fitted.rounds) == 3
    usage = {"prompt_tokens": 4 + 3 * 40 + 8 * 2}
    window.learn(fitted, 8, usage)
    window.learn(Prompt("be kind", (), "and now"), 2, {"prompt_tokens": 4 + 2 * 2})
    assert len((await window.fitted(PROMPT, 100)).rounds) == 4


async def test_a_reply_without_usage_teaches_nothing() -> None:
    server = Server(300)
    window = planned(server)
    before = await window.fitted(PROMPT, 100)
    window.learn(before, 8, None)
    window.learn(before, 8, {"prompt_tokens": 0})
    assert await window.fitted(PROMPT, 100) == before
