"""The job `sweep`: drops what is too old or too much, whether workers run or not."""

import asyncio
from collections.abc import Mapping
from typing import Any

from common.transitions.tending import report_trimmed, trim
from ops.jobs.execution import JobContext
from producer.shipping.outbox_folder import sweep_outboxes


async def run(context: JobContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Trim results, deltas and dead letters by age and count, and this host's outboxes by age."""
    for shard in context.store.all_shards():
        report_trimmed(await context.link.retry_until_answered(trim, context.store, shard))
    dropped = await asyncio.to_thread(sweep_outboxes, context.settings.listen)
    return {"outbox_rows": dropped}
