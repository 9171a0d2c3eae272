"""Promise 8: a request that the LLM server never answers takes its own time, and nobody else's."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from common.events import Error
from tests.integration.pipeline.test_refused_session import answered, ended, say, states
from tests.support.command_line import CommandProcesses
from tests.support.redis_server import RedisServer
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

GUESTS = [f"guest {number}" for number in range(5)]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(tmp_path)
    yield processes
    processes.close()


@pytest.mark.parametrize(
    "fault", [{"hang": True}, {"hang_after_tokens": 2}, {"tokens_per_s": 0.01}], ids=str
)
def test_it_is_the_first_when_its_server_comes_back(
    processes: CommandProcesses, fault: dict[str, bool | float]
) -> None:
    with RedisServer() as server, StandIn("--first-token-ms", "1") as standin:
        standin.control(fail={"status": 503, "everywhere": True}, only_for={"hush": fault})
        variables = {
            "EARSHOT_REDIS__URL": server.url,
            "EARSHOT_LLM__BASE_URL": standin.base_url,
            "EARSHOT_LLM__FIRST_TOKEN_TIMEOUT_S": "600",
            "EARSHOT_LLM__TOKEN_TIMEOUT_S": "600",
        }
        processes.start("llm", **variables)
        until_sync(lambda: states(server) == ["waiting"])
        say(server, ["hush"], 1)
        say(server, GUESTS, 1)
        standin.control(fail=None)
        until_sync(partial(answered, server, len(GUESTS)))
        assert ended(server, Error) == []
