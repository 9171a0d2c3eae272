"""Promise 8: whatever an LLM server answers to the turns of one session, always, the turns of all
other sessions are answered meanwhile, and each refused turn ends as `error` with its sentence."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from common.events import Error, Event, Reply, parse_event
from common.keys import Shard
from common.redis.store import Store
from common.status.snapshot import take_snapshot
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.conftest import FAST
from tests.support.command_line import CommandProcesses, finish
from tests.support.redis_server import RedisServer
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

STATUSES: Final = (
    *(401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 415, 418, 421, 423, 424, 425, 426),
    *(428, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 524, 529, 599),
)
FAULTS: Final[dict[str, dict[str, Any]]] = {
    **{f"refuse {status}": {"fail": {"status": status}} for status in STATUSES},
    "break off": {"drop_after_tokens": 1},
    "say error": {"error_after_tokens": 1},
    "end oddly": {"finish_reason": "engine_error"},
    "end early": {"end_without_finish": True, "reply": ""},
    "abort": {"finish_reason": "abort"},
}
SAID: Final = {
    "break off": "closed the connection",
    "say error": "EngineCore",
    "end oddly": "engine_error",
    "end early": "without a finish reason",
    "abort": "abort",
}
WORKER: Final = {
    "EARSHOT_WORKER__MAX_DELIVERIES": "3",
    "EARSHOT_WORKER__BACKOFF_MAX_S": "1",
    # that no worker waits for a turn in turn
    "EARSHOT_LLM__CONCURRENCY": "4",
}
RESULTS: Final = Shard(0).results


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(tmp_path)
    yield processes
    processes.close()


def say(server: RedisServer, sessions: Sequence[str], turn: int, text: str = "") -> None:
    """A turn of each session, with its name or `text` for what is said."""

    async def act() -> None:
        async with server.client() as client:
            store = Store(client, 1, FAST)
            for session in sessions:
                name = session.replace(" ", "-")
                utterance = Utterance(id=f"{name}-{turn}", session=name, text=text or session)
                await publish(store, utterance)

    asyncio.run(act())


def ended(server: RedisServer, kind: type[Event]) -> list[Any]:
    with server.sync_client() as client:
        rows: Any = client.xrange(RESULTS)
    events: list[Event] = [parse_event(fields) for _, fields in rows]
    return [event for event in events if isinstance(event, kind)]


def answered(server: RedisServer, count: int) -> bool:
    return len(ended(server, Reply)) == count


def states(server: RedisServer) -> list[str]:
    async def look() -> list[str]:
        async with server.client() as client:
            snapshot = await take_snapshot(Store(client, 1, FAST))
            return [worker.state for worker in snapshot.workers]

    return asyncio.run(look())


@pytest.mark.timeout(240)
def test_what_is_refused_ends_and_all_others_are_answered(processes: CommandProcesses) -> None:
    ordinary = [f"guest {number}" for number in range(20)]
    with RedisServer() as server, StandIn("--first-token-ms", "1") as standin:
        standin.control(only_for=FAULTS)
        variables = {"EARSHOT_REDIS__URL": server.url, "EARSHOT_LLM__BASE_URL": standin.base_url}
        workers = [processes.start("llm", **variables, **WORKER) for _ in range(2)]
        until_sync(lambda: states(server) == ["ready", "ready"])
        say(server, list(FAULTS), 1)
        for turn in (1, 2, 3):
            say(server, ordinary, turn)
            until_sync(partial(answered, server, turn * len(ordinary)))
        until_sync(lambda: len(ended(server, Error)) == len(FAULTS))
        for error in ended(server, Error):
            name = error.session.replace("-", " ")
            status = name.rpartition(" ")[2]
            sentence = SAID.get(name) or f"told to answer {status}"
            assert sentence in error.data.error, error
            # more than three, if meanwhile nobody else was answered
            assert error.data.reason == "failed", error
            assert 3 <= error.data.deliveries <= 6, error
        # who was refused is answered again when he says something else
        say(server, list(FAULTS), 2, text="hello again")
        until_sync(partial(answered, server, 3 * len(ordinary) + len(FAULTS)))
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
            status, _, log = finish(worker)
            assert status == 0
            assert "server_unusable" not in log


def test_an_idle_worker_is_ready_when_its_server_comes_up(processes: CommandProcesses) -> None:
    """Nobody speaks."""
    with RedisServer() as server, StandIn("--first-token-ms", "1") as standin:
        standin.kill()
        variables = {"EARSHOT_REDIS__URL": server.url, "EARSHOT_LLM__BASE_URL": standin.base_url}
        processes.start("llm", **variables)
        until_sync(lambda: states(server) == ["waiting"])
        standin.start()
        until_sync(lambda: states(server) == ["ready"])
        # and so it is where the models are listed and no answer comes
        standin.control(fail={"status": 503})
        say(server, ["one", "two", "three"], 1)
        until_sync(lambda: states(server) == ["waiting"])
        standin.control(fail=None)
        until_sync(lambda: states(server) == ["ready"])
        until_sync(partial(answered, server, 3))
        assert ended(server, Error) == []
