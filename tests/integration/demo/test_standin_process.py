"""The stand-in's process starts, says so, stops cleanly, and does not outlive its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import psutil
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from ops.demo.standin import READY
from tests.support.repository import ROOT
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello."}]
COMMAND = [sys.executable, "-m", "ops.demo.standin"]


def openai_client(server: StandIn) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=0, timeout=30)


def wait_until_gone(pid: int) -> None:
    def gone() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    until_sync(gone)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_status_0(sig: signal.Signals) -> None:
    with StandIn() as server:
        assert server.stop(sig) == 0


async def test_a_stop_ends_streams_under_way_as_aborted() -> None:
    async with StandIn("--tokens-per-s", "5") as server, openai_client(server) as client:
        stream = await client.chat.completions.create(
            model="stand-in",
            messages=HELLO,
            stream=True,
            max_tokens=1000,
            extra_body={"ignore_eos": True},
        )
        await anext(stream)
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        reasons: list[str | None] = [c.choices[0].finish_reason async for c in stream]

        assert reasons[-1] == "abort"
        assert await stopping == 0


async def test_a_hanging_request_does_not_keep_it_from_stopping() -> None:
    async with StandIn() as server, openai_client(server) as client:
        server.control(hang=True)
        asking = asyncio.create_task(
            client.chat.completions.create(model="stand-in", messages=HELLO)
        )
        await asyncio.to_thread(server.wait_for, lambda listing: listing.active == 1)

        assert await asyncio.to_thread(server.stop) == 0
        with pytest.raises(openai.APIError):
            await asking


async def test_killed_and_started_again_it_is_back_under_the_same_url() -> None:
    async with StandIn("--tokens-per-s", "5") as server, openai_client(server) as client:
        stream = await client.chat.completions.create(model="stand-in", messages=HELLO, stream=True)
        await anext(stream)
        url = server.base_url
        server.kill()

        with pytest.raises(openai.APIConnectionError):
            [chunk async for chunk in stream]
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(model="stand-in", messages=HELLO)

        server.start()
        assert server.base_url == url
        answer = await client.chat.completions.create(
            model="stand-in", messages=HELLO, max_tokens=1
        )
        assert answer.choices[0].finish_reason == "length"


def test_a_taken_port_is_one_sentence_and_exit_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--port", port], cwd=ROOT, capture_output=True, text=True, check=False
        )

    assert done.returncode == 1
    assert done.stdout == ""
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_options_set_the_knobs_and_a_reset_goes_back_to_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EARSHOT_STANDIN_API_KEY", "secret")
    options = ("--model", "a", "--model", "b", "--max-model-len", "99", "--reject-system-role")
    with StandIn(*options) as server:
        at_start = server.control()
        server.control(models=["c"], reject_system_role=False, tokens_per_s=1, api_key=None)
        server.reset()

        assert server.control() == at_start
        assert at_start["models"] == ["a", "b"]
        assert at_start["max_model_len"] == 99
        assert at_start["reject_system_role"] is True
        assert at_start["api_key"] == "**********"


def test_without_steering_nobody_can_read_or_change_it() -> None:
    with StandIn("--no-steerable") as server:
        for path in ("/control", "/requests"):
            assert httpx.get(server.origin + path, trust_env=False).status_code == 404
        assert httpx.get(f"{server.base_url}/models", trust_env=False).status_code == 200


PARENT = """
import subprocess, sys, threading
def start():
    child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
    print(child.pid, child.stdout.readline().strip(), flush=True)
starter = threading.Thread(target=start)
starter.start()
starter.join()
sys.stdin.read()
"""
"""Starts a child from a thread that ends at once, and waits for its own death."""


def test_it_ends_with_its_parent_but_not_with_the_thread_that_started_it(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(script), *COMMAND, "--with-parent"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid, ready = parent.stdout.readline().strip().split(" ", 1)
        child = int(pid)
        try:
            url = ready.removeprefix(READY)
            assert httpx.get(f"{url}/models", trust_env=False).status_code == 200
            parent.kill()
            wait_until_gone(child)
        finally:
            parent.kill()
            if psutil.pid_exists(child):
                os.kill(child, signal.SIGKILL)
