"""Nothing that somebody said is in the log of any role: not when all is well, and not when what is
in Redis, in an answer or in a request is malformed, and says so."""

import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from common.keys import WORKERS, Shard, worker_key
from ops.demo.recording_file import AUDIO, read_sentences
from tests.support.command_line import CommandProcesses, finish
from tests.support.foreign_jobs import end, push
from tests.support.redis_server import RedisServer
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

SHARD: Final = Shard(0)
SPOKEN: Final = "my pin is four seven eleven and nobody may know it"
REPLY: Final = "the treasure lies under the third oak"
SENTENCES: Final = (SPOKEN, REPLY, *(sentence.text for sentence in read_sentences()))
RUN: Final = 3
"""Words in a row that are no coincidence."""

WRONG_VALUES: Final = (SPOKEN, f'"{SPOKEN}"', json.dumps([SPOKEN]), json.dumps({SPOKEN: SPOKEN}))


def words(text: str) -> str:
    return f" {' '.join(re.findall(r'[a-z]+', text.casefold()))} "


def holds_what_was_said(line: str) -> bool:
    spoken = [words(sentence).split() for sentence in SENTENCES]
    runs = {" ".join(said[at : at + RUN]) for said in spoken for at in range(len(said) - RUN + 1)}
    return any(f" {run} " in words(line) for run in runs)


def plant(client: Any) -> None:
    """Put what was said where something else belongs: into each kind of entry and record."""
    event = {"v": 1, "session": "s", "epoch": 1, "turn": 1, "id": "u", "at": 1}
    for value in WRONG_VALUES:
        for kind in ("transcript", "reply", "heard", "error", "skipped", SPOKEN):
            client.xadd(SHARD.results, event | {"type": kind, "data": value})
            wrapped = json.dumps({"text": [value], "reason": value, "timings": value})
            client.xadd(SHARD.results, event | {"type": kind, "data": wrapped})
        for field in ("v", "session", "epoch", "turn", "id", "at"):
            good = {"type": "transcript", "data": '{"text": "x"}'}
            client.xadd(SHARD.results, event | good | {field: value})
        work = {"v": 1, "session": "s", "turn": 1, "id": "u", "codec": "flac", "samples": 1}
        for field in (*work, "rate", "language", "persona", "audio", "traceparent", "source"):
            client.xadd(SHARD.utterances, work | {field: value})
        client.xadd(SHARD.turns, {"session": value})
        client.xadd(SHARD.turns, {SPOKEN: value})
        client.zadd(WORKERS, {f"w{len(value)}": 9e9})
        client.set(worker_key(f"w{len(value)}"), value)
        client.hset(SHARD.inbox(f"i{len(value)}"), "1", value)
        client.hset(SHARD.session(f"i{len(value)}"), mapping={"epoch": value, "last": value})
        client.zadd(SHARD.open, {f"i{len(value)}": 1})
        client.rpush(SHARD.history("kitchen"), value)
    client.zadd(WORKERS, {"w": 9e9})
    client.set(worker_key("w"), json.dumps({"name": {"a": SPOKEN}, "role": [SPOKEN]}))


@pytest.mark.parametrize(
    "is_planted",
    [
        pytest.param(False, id="when all is well", marks=pytest.mark.full),
        pytest.param(True, id="when it is not"),
    ],
)
def test_no_log_holds_what_was_said(*, is_planted: bool, tmp_path: Path) -> None:
    logs: dict[str, str] = {}
    with RedisServer(tcp=True) as server, StandIn() as llm, ExitStack() as stack:
        llm.control(reply=REPLY)
        processes = CommandProcesses(
            tmp_path,
            EARSHOT_REDIS__URL=server.url,
            EARSHOT_LLM__BASE_URL=llm.base_url,
            EARSHOT_STT__MODEL="demo",
            EARSHOT_LISTEN__OUTBOX=str(tmp_path / "outbox"),
            EARSHOT_JOBS__FOLDER=str(tmp_path),
            EARSHOT_DASHBOARD__PORT="0",
            EARSHOT_METRICS__PORT="0",
            EARSHOT_LOG__FORMAT="json",
        )
        stack.callback(processes.close)
        client = stack.enter_context(server.sync_client())
        if is_planted:
            plant(client)
        roles = {name: processes.start(name) for name in ("stt", "llm", "jobs", "dashboard")}
        logs["say"] = "".join(map(str, processes.run("say", SPOKEN, "--session", "kitchen")))
        logs["listen"] = processes.run("listen", "--input", str(AUDIO), "--session", "den")[2]

        def replies() -> list[str]:
            rows: Any = client.xrange(SHARD.results)
            return [
                fields[b"session"].decode()
                for _, fields in rows
                if fields[b"type"] == b"reply" and REPLY.encode() in fields[b"data"]
            ]

        until_sync(replies, lambda seen: {"kitchen", "den"} <= set(seen))
        if is_planted:
            for kind in ("export", "summary", "transcribe"):
                for arguments in (
                    {"output": [SPOKEN]},
                    {SPOKEN: 1},
                    {"session": SPOKEN, "epoch": SPOKEN},
                ):
                    assert end(client, push(client, kind, arguments))[0] == "failed"
        logs["status"] = "".join(map(str, processes.run("status")))
        logs["tail"] = processes.run("tail", "--since", "all", "--no-follow")[2]
        for name, process in roles.items():
            process.terminate()
            status, out, err = finish(process)
            assert status == 0, (name, err)
            logs[name] = out + err
    if is_planted:
        for name in ("stt", "dashboard", "jobs", "tail"):
            assert "is not usable" in logs[name], "it says what is wrong"
    for name, text in logs.items():
        assert [line for line in text.splitlines() if holds_what_was_said(line)] == [], name
