"""No time and no number in an event, a dead letter or a worker's record, from whoever may write
one, ends a command that shows it; each line of JSON is JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from common.keys import WORKERS, Shard, worker_key
from tests.support.command_line import CommandProcesses
from tests.support.redis_server import RedisServer

SHARD: Final = Shard(0)
NUMBERS: Final = (
    *("1e400", "-1e400", "NaN", "Infinity", "-Infinity", "1e308", "-1e308", "1e-400", "-0.0"),
    *(str(10**60), str(-(10**60)), str(2**63), str(-(2**63)), str(8640000000000001), "-1"),
)
TIMINGS: Final = (
    "published",
    "stt_started",
    "transcribed",
    "committed",
    "llm_started",
    "first_token",
    "last_token",
    "done",
)


def add_events(client: Any) -> None:
    def add(kind: str, data: str, **more: Any) -> None:
        event = {"v": 1, "type": kind, "session": "s", "epoch": 1, "turn": 1, "id": "u", "at": 1}
        client.xadd(SHARD.results, event | {"data": data} | more)

    for number in NUMBERS:
        timings = ", ".join(f'"{name}": {number}' for name in TIMINGS)
        scores = f'"language_probability": {number}, "avg_logprob": {number}'
        add("heard", f'{{"spoken_at": {number}}}')
        add("heard", f'{{"spoken_at": 1, "speech_ms": {number}}}')
        add("transcript", f'{{"text": "x", "timings": {{{timings}}}, {scores}}}')
        add("reply", f'{{"text": "x", "timings": {{"published": 1, "done": {number}}}}}')
        add("reply", f'{{"text": "x", "usage": {{"total_tokens": {number}}}}}')
        add("skipped", f'{{"reason": "noise", "detail": {{"x": {number}}}}}')
        add("skipped", f'{{"reason": "merged", "into": {number}}}')
        add("reply.delta", f'{{"attempt": {number}, "index": {number}, "text": "x"}}')
        for field in ("at", "turn", "epoch"):
            add("reply", '{"text": "x"}', **{field: number})
        letter = dict.fromkeys(("at", "turn", "samples", "speech_ms", "rate", "deliveries"), number)
        client.xadd(SHARD.dead, letter | {"session": "s", "error": "x"})
        record = f'"started_at": {number}, "concurrency": {number}, "in_hand": {number}'
        client.set(
            worker_key(number), f'{{"name": "w", "role": "stt", "state": "ready", {record}}}'
        )
        client.zadd(WORKERS, {number: 9e9})
    add("reply", '{"text": "the last one"}')


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandProcesses]:
    with RedisServer() as server:
        with server.sync_client() as client:
            add_events(client)
        folder: Path = tmp_path_factory.mktemp("commands")
        processes = CommandProcesses(folder, EARSHOT_REDIS__URL=server.url)
        yield processes
        processes.close()


@pytest.mark.parametrize(
    "command",
    [
        "tail --since all --no-follow",
        "tail --since all --no-follow --json",
        "export --since 24h",
        "export --since 24h --format csv",
        "status",
        "status --json",
        "dead list",
        "dead list --json",
        "session list",
    ],
)
def test_a_command_shows_what_it_can_and_ends_well(
    command: str, processes: CommandProcesses
) -> None:
    status, out, err = processes.run(*command.split())
    assert status == 0, err
    assert "Traceback" not in err
    if "dead" not in command and "status" not in command and "session" not in command:
        assert "the last one" in out

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON: {line}")

    for line in out.splitlines() if "json" in command or command == "export --since 24h" else ():
        json.loads(line, parse_constant=refuse)
