"""One LLM worker process holds 64 conversations at once, each in its order, none with another's
words, in less than 100 MB."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from common.events import Event, Reply, parse_event
from common.keys import Shard
from common.redis.store import Store
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.conftest import FAST
from tests.support.command_line import CommandProcesses
from tests.support.llm_worker import MOST_MB
from tests.support.redis_server import RedisServer
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

SESSIONS = [f"session-{number}" for number in range(64)]
RESULTS, DELTAS = Shard(0).results, Shard(0).deltas
MEGABYTE = 1e6
# Longer than any machine needs to start 64 replies: they end only because newer speech comes.
LONG_TOKENS = 5_000
PATIENCE_S = "600"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(tmp_path)
    yield processes
    processes.close()


def _say(server: RedisServer, turn: int) -> None:
    """A turn of each session; newer ones interrupt the reply to older ones."""

    async def act() -> None:
        async with server.client() as client:
            store = Store(client, 1, FAST)
            for session in SESSIONS:
                utterance = Utterance(
                    id=f"{session}-{turn}",
                    session=session,
                    text=f"question {turn} of {session}",
                    interrupt=True,
                )
                await publish(store, utterance)

    asyncio.run(act())


def _begun(server: RedisServer) -> set[str]:
    """Sessions whose reply has a first word."""
    with server.sync_client() as client:
        rows: Any = client.xrange(DELTAS)
    return {fields[b"session"].decode() for _, fields in rows}


def _await_replies(server: RedisServer, turns: int) -> list[Reply]:
    """All replies, once so many turns of each session were heard, transcribed and answered."""
    with server.sync_client() as client:
        until_sync(lambda: client.xlen(RESULTS) == 3 * turns * len(SESSIONS))
        rows: Any = client.xrange(RESULTS)
    events: list[Event] = [parse_event(fields) for _, fields in rows]
    return [event for event in events if isinstance(event, Reply)]


def test_64_conversations_at_once(processes: CommandProcesses) -> None:
    with (
        RedisServer() as server,
        StandIn("--first-token-ms", "1", "--tokens-per-s", "3") as standin,
    ):
        standin.control(reply="on and " * LONG_TOKENS, max_model_len=2 * LONG_TOKENS)
        worker = processes.start(
            "llm",
            EARSHOT_REDIS__URL=server.url,
            EARSHOT_LLM__BASE_URL=standin.base_url,
            EARSHOT_LLM__MIN_TOKENS=str(LONG_TOKENS),
            EARSHOT_LLM__MAX_TOKENS=str(LONG_TOKENS),
            EARSHOT_LLM__FIRST_TOKEN_TIMEOUT_S=PATIENCE_S,
            EARSHOT_LLM__TOKEN_TIMEOUT_S=PATIENCE_S,
            EARSHOT_WORKER__CLAIM_IDLE_S=PATIENCE_S,
        )
        _say(server, 1)
        until_sync(lambda: _begun(server) == set(SESSIONS))
        assert standin.listing().active == len(SESSIONS)
        resident = psutil.Process(worker.pid).memory_info().rss / MEGABYTE
        assert resident < MOST_MB, f"{resident:.0f} MB"
        assert "numpy" not in Path(f"/proc/{worker.pid}/maps").read_text()

        standin.control(reply="so it is", tokens_per_s=2_000)
        for turn in (2, 3):
            _say(server, turn)
            replies = _await_replies(server, turn)
        asked = [[m["content"] for m in one.messages[1:]] for one in standin.requests()]
    for session in SESSIONS:
        own = [reply for reply in replies if reply.session == session]
        assert [reply.turn for reply in own] == [1, 2, 3]
        assert [reply.data.interrupted for reply in own] == [True, False, False]
        heard, said = own[0].data.text, own[1].data.text
        talk = [f"question 1 of {session}", heard, f"question 2 of {session}", said]
        assert [*talk, f"question 3 of {session}"] in asked
    assert len(asked) == 3 * len(SESSIONS)
