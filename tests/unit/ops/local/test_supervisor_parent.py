"""Roles end with the process that started them, and hear a Ctrl+C once."""

import os
import signal
import subprocess
import sys

from tests.support.waiting import until
from tests.unit.ops.local.role_scripts import DEADLINE_S, FOREVER, POLITE, is_gone

PARENT = """
import asyncio, signal, sys
from ops.local.supervisor import Supervisor, print_to_stderr

async def main():
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Supervisor(print_to_stderr) as roles:
        await roles.spawn("a", [sys.executable, "-c", sys.argv[1]])
        print(roles.pid("a"), flush=True)
        await stop.wait()
    print("all ended", flush=True)

asyncio.run(main())
"""


def _parent(child: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, child],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


async def test_the_terminals_ctrl_c_reaches_the_roles_once_through_the_parent() -> None:
    with _parent(POLITE) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        parent.stdout.readline()
        assert parent.stderr.readline() == "     a | up\n"
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to the whole group
        said, logged = parent.communicate(timeout=DEADLINE_S)
    assert parent.returncode == 0
    assert said.splitlines()[-1] == "all ended"
    assert logged == "     a | asked 15\n"


async def test_roles_end_with_a_parent_that_is_killed() -> None:
    with _parent(FOREVER) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.communicate(timeout=DEADLINE_S)
    await until(lambda: is_gone(pid))
