"""The stand-in tells what it was asked, refuses what is wrong, and stops a reply when its client
leaves."""

from __future__ import annotations

import asyncio

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from tests.integration.demo.chat_client import HELLO, read_stream, read_whole_reply
from tests.support.standin_server import StandIn

LONG = "word " * 200


async def test_a_client_that_leaves_stops_the_generation(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(reply=LONG, tokens_per_s=20)
    stream = await client.chat.completions.create(model="stand-in", messages=HELLO, stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    assert server.listing().active == 1
    await stream.close()

    (entry,) = server.wait_for(lambda listing: listing.active == 0).requests
    assert entry.aborted
    assert 1 <= entry.tokens < 200
    assert entry.finish_reason is None
    assert entry.ended_ms is not None


async def test_leaving_a_whole_answer_stops_the_generation_too(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(reply=LONG, tokens_per_s=20)

    with pytest.raises(openai.APITimeoutError):
        await read_whole_reply(client, timeout=0.3)

    (entry,) = server.wait_for(lambda listing: listing.active == 0).requests
    assert entry.aborted
    assert entry.tokens < 200


async def test_requests_show_what_reached_the_server(server: StandIn, client: AsyncOpenAI) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    heard: list[str] = []
    await read_stream(
        client,
        heard,
        temperature=0.25,
        extra_headers={"traceparent": traceparent},
        extra_body={"top_k": 7},
    )

    (entry,) = server.requests()
    assert entry.messages == HELLO
    assert entry.params == {"model": "stand-in", "stream": True, "temperature": 0.25, "top_k": 7}
    assert entry.headers["traceparent"] == traceparent
    assert "authorization" not in entry.headers
    assert entry.first_token_ms is not None
    assert entry.ended_ms is not None
    assert entry.started_ms <= entry.first_token_ms <= entry.ended_ms
    assert entry.reply == "".join(heard)
    assert entry.finish_reason == "stop"
    assert not entry.aborted


async def test_an_unknown_knob_is_refused_and_changes_nothing(server: StandIn) -> None:
    before = server.control()
    async with httpx.AsyncClient(trust_env=False) as http:
        unknown = await http.post(f"{server.origin}/control", json={"hang": True, "typo": 1})
        form = await http.post(f"{server.origin}/control", data={"hang": "true"})

    assert unknown.status_code == 400
    assert "typo" in unknown.json()["error"]["message"]
    assert form.status_code == 400
    assert server.control() == before


async def test_a_body_that_is_no_json_object_is_refused_and_noted(server: StandIn) -> None:
    bodies = [b"{", b"[]", b'"text"', b'{"messages": "\\ud800"}', b"\xff", b""]
    headers = {"content-type": "application/json"}
    async with httpx.AsyncClient(trust_env=False) as http:
        for body in bodies:
            answer = await http.post(
                f"{server.base_url}/chat/completions", content=body, headers=headers
            )
            assert answer.status_code == 400
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        unknown = await http.get(f"{server.base_url}/unknown")

    assert unknown.status_code == unknown.json()["error"]["code"] == 404
    assert [entry.status for entry in server.requests()] == [400] * len(bodies)


async def test_sixty_four_streams_run_side_by_side(server: StandIn, client: AsyncOpenAI) -> None:
    server.control(reply="word " * 20, tokens_per_s=20)

    heard: list[list[str]] = [[] for _ in range(64)]
    reasons = await asyncio.gather(*(read_stream(client, texts) for texts in heard))

    assert reasons == ["stop"] * 64
    assert {"".join(texts) for texts in heard} == {"word " * 20}
    assert server.listing().peak_active == 64
