"""The job `sweep`: delete what is kept beyond its limits, even if no other worker runs."""

import asyncio
from collections.abc import Mapping
from typing import Any

from common.transitions.letter_limits import count_letters
from common.transitions.tending import report_trimmed, trim
from ops.jobs.execution import JobContext
from producer.shipping.outbox_folder import sweep_outboxes


async def run(context: JobContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Delete old results, deltas and dead letters, and old utterances in this host's outboxes."""
    for shard in context.store.all_shards():
        trimmed = await context.link.retry_until_answered(trim, context.store, shard)
        if trimmed.uncounted:
            await context.link.retry_until_answered(count_letters, context.store, shard)
        report_trimmed(trimmed)
    dropped = await asyncio.to_thread(sweep_outboxes, context.settings.listen)
    return {"outbox_rows": dropped}
