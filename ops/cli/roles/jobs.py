"""`earshot jobs`: background jobs, run by RQ."""

import asyncio
import json

import click

from common.redis.opening import open_reachable_store
from common.settings import Settings
from common.transitions.tending import forget
from ops.cli.options import (
    jobs_options,
    json_lines_option,
    load_settings_and_logs,
    log_options,
    setting,
)
from ops.cli.terminal.conversation import to_one_line
from ops.local.signals import run_role


@click.group("jobs", invoke_without_command=True)
@setting("--folder", "jobs.folder")
@setting("--recordings", "jobs.recordings")
@jobs_options
@log_options
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run background jobs: recordings, exports, summaries, replays, clean-up.

    If a job's process is killed, the job runs again, on this host or another. SIGTERM or Ctrl+C
    puts unfinished jobs back into the queue and stops.
    """
    if ctx.invoked_subcommand is not None:
        return
    settings = load_settings_and_logs(ctx, role="jobs")
    from ops.jobs.service import serve

    run_role(lambda stop: serve(settings, stop))


@command.command("list")
@json_lines_option
@jobs_options
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the jobs: waiting, running, done and failed."""
    settings = load_settings_and_logs(ctx)
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from ops.cli.jobs.job_list import list_jobs
    from ops.jobs.connection import open_connection

    with open_connection(settings) as connection:
        jobs = list_jobs(connection)
    if as_json:
        for job in jobs:
            click.echo(json.dumps(job.as_dict()))
        return
    if not jobs:
        click.echo("No jobs.")
        return
    table = Table(
        Column("job", no_wrap=True),
        Column("file or session", overflow="fold"),
        "state",
        "progress",
        "requested (UTC)",
        box=None,
        pad_edge=False,
    )
    for job in jobs:
        table.add_row(*(Text(cell) for cell in job.cells()))
    Console().print(table)
    for job in jobs:
        if job.error:
            click.echo(f"\n{job.job}: {to_one_line(job.error)}")


@command.command("cancel")
@click.argument("job")
@jobs_options
@click.pass_context
def cancel_(ctx: click.Context, job: str) -> None:
    """Stop JOB, or take it out of the queue. It then writes no file."""
    settings = load_settings_and_logs(ctx)
    from ops.cli.jobs.job_list import cancel
    from ops.jobs.connection import open_connection

    with open_connection(settings) as connection:
        session = cancel(connection, job)
    if session:
        asyncio.run(_forget(settings, session))
    click.echo(f"{job}: cancelled", err=True)


async def _forget(settings: Settings, session: str) -> None:
    """Forget a cancelled recording, so that STT workers skip the rest of it."""
    async with open_reachable_store(settings) as store:
        await forget(store, session)
