"""The job `sweep`: what is older than it is to be kept goes, whether workers run or not."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import structlog

from common.errors import BadInput
from common.settings import ListenSettings
from common.transitions.tending import trim
from ops.jobs.execution import JobContext
from producer.shipping.outbox import Outbox

log = structlog.get_logger(__name__)


async def run(context: JobContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Results, deltas and dead letters by age and count; the outboxes of this host by age."""
    for shard in context.store.all_shards():
        trimmed = await context.link.lasting(trim, context.store, shard)
        for kind, count in asdict(trimmed).items():
            if count:
                log.warning("oldest_dropped", of=kind, count=count)
    dropped = await asyncio.to_thread(sweep_outboxes, context.settings.listen)
    return {"outbox_rows": dropped}


def sweep_outboxes(settings: ListenSettings) -> int:
    """Drop what is too old from outboxes that no producer looks after; how many utterances."""
    dropped = 0
    folder = settings.outbox_folder()
    for path in sorted(folder.rglob("*.sqlite3")):  # the dashboard's lie in a folder of its own
        try:
            with Outbox(
                path.parent,
                path.stem,
                max_bytes=round(settings.outbox_max_mb * 2**20),
                max_age_s=settings.outbox_max_age_s,
            ) as outbox:
                stale = outbox.drop_stale()
        except BadInput:  # in use: its producer does it itself
            continue
        if stale is not None:
            dropped += stale.count
            log.error("outbox_dropped_oldest", session=path.stem, count=stale.count, why=stale.why)
    return dropped
