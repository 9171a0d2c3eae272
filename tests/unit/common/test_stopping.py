"""Work is run until a stop is asked for, and what is given up has cleaned up behind it."""

import asyncio

import pytest

from common.stopping import run_until_stopped


async def test_work_that_ends_by_itself_was_done() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("work")

    assert await run_until_stopped(asyncio.Event(), work()) is True
    assert done == ["work"]


async def test_what_the_work_raises_passes_on() -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await run_until_stopped(asyncio.Event(), work())


class CleanedUp:
    """Work without an end that needs a few turns of the loop to clean up."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.has_cleaned_up = False

    async def __call__(self) -> None:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            self.has_cleaned_up = True


async def test_work_that_was_given_up_has_cleaned_up_when_it_returns() -> None:
    stop, work = asyncio.Event(), CleanedUp()
    running = asyncio.create_task(run_until_stopped(stop, work()))
    await work.begun.wait()
    stop.set()
    assert await running is False
    assert work.has_cleaned_up


async def test_work_has_cleaned_up_when_its_caller_is_cancelled() -> None:
    work = CleanedUp()
    running = asyncio.create_task(run_until_stopped(asyncio.Event(), work()))
    await work.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work.has_cleaned_up


async def test_nobody_else_is_left_waiting_for_the_stop() -> None:
    async def work() -> None:
        """End at once."""

    await run_until_stopped(asyncio.Event(), work())
    assert asyncio.all_tasks() == {asyncio.current_task()}
