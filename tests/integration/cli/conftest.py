"""The command as processes, for which Redis is away until a test says where it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.command_logs import NOWHERE
from tests.support.command_line import CommandProcesses


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(tmp_path, EARSHOT_REDIS__URL=NOWHERE)
    yield processes
    processes.close()
