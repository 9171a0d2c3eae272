"""The job `replay`: send dead letters again, as fast as the backlog allows."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import structlog

from common.backoff import jitter
from common.errors import BadInput, Refused
from common.status.dead_letters import find_dead_letter, list_letters
from common.transitions.publishing import Verdict
from ops.jobs.execution import JobContext
from ops.queries.dead_letters import send_again

FULL_PAUSE_S: Final = 1.0

log = structlog.get_logger(__name__)


async def run(context: JobContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Replay the letters. A replayed letter is deleted, so a job that runs again continues."""
    reason = arguments.get("reason")
    wanted = [
        letter.entry
        async for letter in list_letters(context.store, None if reason is None else str(reason))
    ]
    replayed, left = 0, []
    for number, entry in enumerate(wanted):
        context.report(text=f"{number} of {len(wanted)} dead letters")
        try:
            replayed += await _replay(context, entry)
        except Refused as error:
            left.append({"letter": entry, "why": str(error)})
            log.warning("not_replayed", letter=entry, why=str(error))
    return {"replayed": replayed, "left": left}


async def _replay(context: JobContext, entry: str) -> int:
    """Replay a letter; return 1, or 0 if it is gone. It waits while the backlog is full."""
    try:
        letter = await context.link.retry_until_answered(find_dead_letter, context.store, entry)
    except BadInput:
        return 0
    while True:
        answer = await context.link.retry_until_answered(send_again, context.store, letter)
        if answer is None:
            return 0
        if answer.verdict is not Verdict.FULL:
            return 1
        context.report(text=f"waits: {answer.why}")
        await asyncio.sleep(jitter(FULL_PAUSE_S))
