"""Whatever an OpenAI-compatible server answers, a user sees a reply, or a sentence that says what
to do; no answer in one conversation takes anything from another. The table is in `answers`."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from common.events import Error, Reply, Skipped
from tests.contract.answering_worker import MODEL, AnsweringWorker, running_answering_worker
from tests.contract.answers.ends import ENDS
from tests.contract.answers.full_windows import FULL_WINDOWS
from tests.contract.answers.other_errors import OTHER_ERRORS
from tests.contract.answers.parameters import PARAMETERS
from tests.contract.answers.rates import RATES
from tests.contract.answers.reasoning import REASONING
from tests.contract.answers.roads import ROADS
from tests.contract.answers.shape import SAID, SECRET, Shape, listed
from tests.contract.answers.texts import TEXTS
from tests.support.redis_server import RedisServer
from tests.support.standin_server import StandIn

SHAPES: Final = [
    *(ENDS + FULL_WINDOWS + OTHER_ERRORS + PARAMETERS),
    *(REASONING + RATES + ROADS + TEXTS),
]
ADA, BOB = "ada", "bob"
ASKED: Final = "and now"
BOBS_ROUNDS: Final = 3
LIST: Final = listed({"data": [{"id": MODEL}, {"id": "deepseek-r1"}]})
"""No window: it is not known, but from what the server says in a refusal."""

PYTHON: Final = ("Error(", "Traceback", "Exception:", "NoneType", "object has no attribute")
"""What a sentence for a person does not hold, unless the server says it."""


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    options = ("--model", MODEL, "--model", "deepseek-r1")
    with StandIn(*options, "--first-token-ms", "1", "--tokens-per-s", "4000") as standin:
        yield standin


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def _prepare(standin: StandIn, *answers: Any) -> None:
    standin.control(reply=SAID, prepared=[*answers, LIST])


def test_the_names_are_different() -> None:
    assert len({shape.name for shape in SHAPES}) == len(SHAPES)


def _parameters() -> list[Any]:
    """Every fifth shape, so that each kind is tried; the others in the long runs as well."""
    return [
        pytest.param(shape, id=str(shape), marks=[] if place % 5 == 0 else [pytest.mark.full])
        for place, shape in enumerate(SHAPES)
    ]


@pytest.mark.parametrize("shape", _parameters())
async def test_a_user_sees_a_reply_or_a_sentence(
    shape: Shape, standin: StandIn, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    roads = [one for one in shape.answers if one.get("endpoint") == "models"]
    _prepare(standin, *roads)
    with capture_logs() as logged:
        async with running_answering_worker(
            server, standin, monkeypatch, path=shape.path, **shape.settings
        ) as worker:
            for number in range(BOBS_ROUNDS if shape.rounds else 0):
                await worker.ask(f"bob's question {number}", BOB)
            for number in range(shape.rounds):
                await worker.ask(f"question {number}", ADA)
            await asyncio.to_thread(_prepare, standin, *_planned(shape))
            await _look(shape, worker, standin)
            await asyncio.to_thread(_prepare, standin)
            if not shape.waits:
                await _look_at_bob(shape, worker, standin)
    assert not [line for line in logged if line["event"] == "handler_failed"], logged


def _planned(shape: Shape) -> list[Any]:
    """The answers of a shape; where the turn is to fail, the server answers other questions."""
    if not shape.error or shape.refuses_all:
        return list(shape.answers)
    return [one | {"to": {**one.get("to", {}), "newest": ASKED}} for one in shape.answers]


async def _look(shape: Shape, worker: AnsweringWorker, standin: StandIn) -> None:
    before = standin.listing().total
    if shape.waits:
        turn = await worker.say(ASKED, ADA)
        said = await worker.wait_for_sentence(*shape.waits)
        assert not any(word in said for word in PYTHON), said
        assert not await worker.has_ended(ADA, turn)
        return
    ended = await worker.ask(ASKED, ADA)
    deltas = await worker.deltas(ADA)
    history = await worker.history(ADA)
    assert SECRET not in repr(deltas)
    assert SECRET not in repr(history)
    asked = standin.listing().total - before
    assert not isinstance(ended, Skipped), ended
    if isinstance(ended, Error):
        assert shape.reply is None, ended.data.error
        assert all(phrase in ended.data.error for phrase in shape.error), ended.data.error
        assert "\n" not in ended.data.error
        assert not any(word in ended.data.error for word in PYTHON), ended.data.error
        return
    _look_at_reply(shape, ended)
    assert asked <= shape.tries, f"{asked} requests"
    last = [
        one.data
        for one in deltas
        if (one.turn, one.data.attempt) == (ended.turn, ended.data.attempt)
    ]
    assert "".join(one.text for one in last) == ended.data.text
    assert [message["content"] for message in history][-2:] == (
        [ASKED, ended.data.text] if ended.data.text else history_of(shape)
    )
    request = standin.requests()[-1]
    for name, value in shape.sent.items():
        # a server takes a field that is null as one that is not there
        assert request.params.get(name) == value, request.params
    if shape.roles:
        assert [message["role"] for message in request.messages] == list(shape.roles)
    if shape.sent or shape.roles:
        before = standin.listing().total
        assert isinstance(await worker.ask("and once more", ADA), Reply)
        assert standin.listing().total - before == 1, "what was found out is not remembered"


def history_of(shape: Shape) -> list[str]:
    return [f"question {shape.rounds - 1}", SAID] if shape.rounds else []


def _look_at_reply(shape: Shape, reply: Reply) -> None:
    assert shape.reply is not None, f"a reply: {reply.data}"
    assert reply.data.text == shape.reply
    if shape.finish_reason is not None:
        assert reply.data.finish_reason == shape.finish_reason
    assert getattr(reply.data, "reasoning", None) == shape.reasoning


async def _look_at_bob(shape: Shape, worker: AnsweringWorker, standin: StandIn) -> None:
    """No answer to Ada makes the worker forget what Bob said."""
    reply = await worker.ask("bob asks again", BOB)
    assert isinstance(reply, Reply), reply
    assert reply.data.text == SAID
    if shape.rounds:
        said = [message["content"] for message in standin.requests()[-1].messages]
        assert all(any(f"bob's question {n}" in one for one in said) for n in range(BOBS_ROUNDS))
