"""Anything may have sent a stream: it is a reply, or a failed attempt with a sentence; no bug."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import EarshotError, Permanent, Transient
from tests.integration.workers.llm.raw_server import http_response, running_raw_server
from tests.integration.workers.llm.server.llm_server_client import ask, running_client
from workers.llm.answers.finished import Finished

EVENTS = "text/event-stream"
HI: dict[str, Any] = {"choices": [{"delta": {"content": "hi"}, "finish_reason": None}]}
END: dict[str, Any] = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


async def answer_to(*chunks: Any) -> tuple[str, Finished] | EarshotError:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    body = "".join([*lines, "data: [DONE]\n\n"])
    async with (
        running_raw_server(http_response("200 OK", body, kind=EVENTS)) as url,
        running_client(url, model="m") as server,
    ):
        try:
            return await ask(server)
        except EarshotError as error:
            return error


@pytest.mark.parametrize(
    "usage",
    [
        "many",
        7,
        [],
        ["a"],
        {"prompt_tokens": "many", "completion_tokens": None, "total_tokens": 1.5},
        {"prompt_tokens": {"value": 3}},
        {"prompt_tokens": -4, "completion_tokens": True},
        {"prompt_tokens": 10**400},
    ],
)
async def test_a_usage_that_is_no_number_costs_no_reply(usage: Any) -> None:
    answer = await answer_to(HI, END | {"usage": usage})
    assert isinstance(answer, tuple), answer
    assert answer[0] == "hi"


async def test_counts_beside_odd_ones_are_kept() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": "?", "total_tokens": 14}
    answer = await answer_to(HI, END | {"usage": usage})
    assert isinstance(answer, tuple)
    assert answer[1].usage == {"prompt_tokens": 12, "completion_tokens": 0, "total_tokens": 14}


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [{"delta": "hi"}]},
        {"choices": [{"delta": {"content": [{"type": "text", "text": "h"}, {"text": "i"}]}}]},
        {"choices": [{"delta": {"content": "hi", "role": 5}}], "model": {"name": "m"}},
        {"choices": [{"delta": {"content": "hi"}, "index": "zero"}], "id": 7},
    ],
)
async def test_text_in_another_place_is_found(chunk: Any) -> None:
    answer = await answer_to(chunk, END)
    assert isinstance(answer, tuple), answer
    assert answer[0] == "hi"


@pytest.mark.parametrize(
    "chunk",
    [{"choices": {"0": "hi"}}, {"choices": "hi"}, {"choices": [None]}, {"choices": ["hi"]}, {}],
)
async def test_chunks_without_any_text_are_passed_over(chunk: Any) -> None:
    answer = await answer_to(chunk, HI, END)
    assert isinstance(answer, tuple), answer
    assert answer[0] == "hi"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "content", "role", "usage", "model", "index"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
CHUNK = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "model": JSON,
        "usage": JSON,
        "choices": st.lists(
            st.fixed_dictionaries(
                {}, optional={"delta": JSON, "finish_reason": JSON, "index": JSON}
            )
            | JSON,
            max_size=2,
        )
        | JSON,
    },
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(chunks=st.lists(CHUNK | JSON, max_size=3))
async def test_no_shape_of_a_stream_is_a_bug(chunks: list[Any]) -> None:
    answer = await answer_to(*chunks, END)
    if isinstance(answer, EarshotError):
        assert isinstance(answer, Transient | Permanent), answer
        assert "\n" not in str(answer)
    else:
        assert answer[1].finish_reason
