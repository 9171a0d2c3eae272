"""Asking for a job from a command, and waiting for it."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from common.settings import Settings
from ops.cli.jobs.job_state import JobState, watch
from ops.cli.jobs.progress_bars import ProgressBars
from ops.jobs.connection import reached
from ops.jobs.queues import Again, enqueue, make_job_id
from ops.local.process_exit import INTERRUPTED


def request_and_wait(
    settings: Settings,
    kind: str,
    name: str,
    what: Sequence[object],
    arguments: Mapping[str, Any],
    *,
    again: Again = "always",
) -> JobState:
    """Have a job done, and say on stderr how far it is; how it ended.

    `what` tells the jobs of a kind apart: one that is asked for twice is done once; `again` as in
    `enqueue`. Ends the process on Ctrl+C, with the job going on. Raises RedisUnusable and
    BadSetting.
    """
    with reached(settings) as connection:
        identity = make_job_id(kind, *what)
        job, _ = enqueue(connection, settings.jobs, kind, identity, arguments, again=again)
        try:
            with ProgressBars({job.id: name}) as bars:
                ended = watch(
                    connection,
                    {job.id: kind},
                    lambda identity, seen: bars.show(identity, seen.state, seen.progress),
                )
        except KeyboardInterrupt:
            click.echo(f"The job {job.id} goes on: `earshot jobs list` tells how far.", err=True)
            raise SystemExit(INTERRUPTED) from None
    seen = ended[job.id]
    if not seen.done:
        click.echo(f"{name}: {seen.error}", err=True)
    return seen
