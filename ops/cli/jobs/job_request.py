"""Requesting a job and waiting for its end."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from common.errors import to_printable
from common.settings import Settings
from ops.cli.jobs.job_state import JobState, watch
from ops.cli.jobs.progress_bars import ProgressBars
from ops.jobs.connection import open_connection
from ops.jobs.queues import Again, enqueue, make_job_id
from ops.local.process_exit import INTERRUPTED


def request_and_wait(
    settings: Settings,
    kind: str,
    name: str,
    work: Sequence[object],
    arguments: Mapping[str, Any],
    *,
    again: Again = "always",
) -> JobState:
    """Request a job, print its progress to stderr, and return how it ended.

    `work` identifies the work: a second request for the same work makes no second job. `again` is
    that of `enqueue`. Ctrl+C ends the process, but the job goes on. Raises RedisUnusable and
    BadSetting.
    """
    with open_connection(settings) as connection:
        identity = make_job_id(kind, *work)
        job, _ = enqueue(connection, settings.jobs, kind, identity, arguments, again=again)
        try:
            with ProgressBars({job.id: name}) as bars:
                ended = watch(
                    connection,
                    {job.id: kind},
                    lambda identity, state: bars.show(identity, state.state, state.progress),
                )
        except KeyboardInterrupt:
            click.echo(
                f"The job {job.id} goes on: `earshot jobs list` shows its progress.", err=True
            )
            raise SystemExit(INTERRUPTED) from None
    state = ended[job.id]
    if not state.done:
        click.echo(to_printable(f"{name}: {state.error}"), err=True)
    return state
