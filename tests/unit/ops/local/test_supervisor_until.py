"""Waiting for a role ends with its answer, or says why there will be none."""

import asyncio
import os
import signal

import pytest

from ops.local.supervisor import NotReady, RoleEnded, StopRequested, Supervisor
from tests.unit.ops.local.role_scripts import FOREVER, HeardLines, python_command


async def test_until_hands_on_the_answer() -> None:
    heard = HeardLines()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", python_command(FOREVER))

        async def ready() -> int:
            await heard.until("a", "up")
            return 7

        assert await roles.wait_for(ready(), stop=asyncio.Event()) == 7


@pytest.mark.parametrize("restart", [True, False])
async def test_until_ends_with_the_last_words_of_a_role_that_cannot(restart: bool) -> None:
    source = "import sys; print('earshot: no such model', file=sys.stderr); sys.exit(2)"
    async with Supervisor(HeardLines(), first_pause_s=600) as roles:
        await roles.spawn("stt-1", python_command(source), restart=restart)
        with pytest.raises(RoleEnded, match=r"stt-1 ended \(exit status 2\): earshot: no such mo"):
            await roles.wait_for(asyncio.Event().wait(), stop=asyncio.Event())


async def test_until_sees_a_failure_from_before_it_was_asked() -> None:
    async with Supervisor(HeardLines()) as roles:
        await roles.spawn("a", python_command("raise SystemExit('no')"), restart=False)
        await roles.wait_for_end("a")
        with pytest.raises(RoleEnded, match="a ended"):
            await roles.wait_for(asyncio.Event().wait(), stop=asyncio.Event())


async def test_until_goes_on_when_a_role_is_killed_and_starts_again() -> None:
    heard = HeardLines()
    async with Supervisor(heard, first_pause_s=0.01) as roles:
        await roles.spawn("a", python_command(FOREVER))
        await heard.until("a", "up")
        os.kill(roles.pid("a"), signal.SIGKILL)
        await roles.wait_for(heard.until("a", "up", times=2), stop=asyncio.Event())


async def test_until_says_what_it_waited_for() -> None:
    heard = HeardLines()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", python_command(FOREVER))
        await heard.until("a", "up")
        with pytest.raises(NotReady, match=r"not ready after 0.01 s: a said 'up'"):
            await roles.wait_for(asyncio.Event().wait(), stop=asyncio.Event(), timeout_s=0.01)


async def test_until_ends_when_the_person_wants_to_stop() -> None:
    stop = asyncio.Event()
    stop.set()
    async with Supervisor(HeardLines()) as roles:
        await roles.spawn("a", python_command(FOREVER))
        with pytest.raises(StopRequested):
            await roles.wait_for(asyncio.Event().wait(), stop=stop)
