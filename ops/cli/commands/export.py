"""`earshot export`: the results of the last hours, for other programs."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from common.errors import BadInput
from common.keys import check_session_id
from common.redis.opening import make_link, open_reachable_store
from common.settings import Settings
from ops.cli.options import jobs_options, load_settings_and_logs, setting
from ops.queries.since import find_start, parse_age


@click.command("export")
@click.option(
    "--since",
    default="24h",
    show_default=True,
    help="How far to go back: all (everything that is kept), or an age such as 90s, 15m, 24h.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="jsonl: one event per line, as `earshot tail --json` prints it; csv: one row per event.",
)
@click.option("--session", default="", metavar="ID", help="Export only this session.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write this file instead of printing. In the folder of the jobs `earshot jobs` writes it.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@setting("--folder", "jobs.folder")
@jobs_options
@click.pass_context
def command(
    ctx: click.Context,
    since: str,
    kind: str,
    session: str,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Print all transcripts, replies and errors of the last hours, or write them to a file.

    Results are kept for EARSHOT_LIMITS__RESULTS_AGE_S seconds, one day by default.
    """
    settings = load_settings_and_logs(ctx)
    if session:
        check_session_id(session)
    age_s = parse_age(since, now=False)
    from ops.jobs.files.atomic_file import is_taken

    if output is None:
        asyncio.run(_print(settings, age_s, kind, session))
        return
    if is_taken(output) and not overwrite:
        raise BadInput(f"{output} exists already: --overwrite replaces it")
    from ops.jobs.files.job_folder import JobFolder
    from ops.jobs.tasks.export import suffixes_of

    folder = JobFolder(settings.jobs)
    name = folder.name_of_output(output, suffixes_of(kind))
    if name is None:
        _export_here(settings, age_s, kind, session, output)
        return
    if is_taken(output):
        folder.allow_replacing(output)
    begin = asyncio.run(_find_start(settings, age_s))
    ctx.exit(_export_by_job(settings, since, begin, kind, session, name))


async def _find_start(settings: Settings, age_s: float | None) -> str:
    async with open_reachable_store(settings) as store:
        return await find_start(store, make_link(store, settings), age_s)


async def _print(settings: Settings, age_s: float | None, kind: str, session: str) -> None:
    def write(text: str) -> None:
        click.echo(text, nl=False)

    await _write(settings, age_s, kind, session, write)


async def _write(
    settings: Settings,
    age_s: float | None,
    kind: str,
    session: str,
    write: Callable[[str], Any],
) -> None:
    from ops.jobs.tasks.export import read_kept_events, write_events

    async with open_reachable_store(settings) as store:
        link = make_link(store, settings)
        since = await find_start(store, link, age_s)
        subscriber = read_kept_events(store, link, since, session, patient=False)
        await write_events(subscriber, kind, write)


def _export_here(
    settings: Settings, age_s: float | None, kind: str, session: str, output: Path
) -> None:
    """Write a file that no job may write."""
    from ops.jobs.files.atomic_file import check_writable, open_atomically

    check_writable(output)
    with open_atomically(output, str(os.getpid())) as file:
        asyncio.run(_write(settings, age_s, kind, session, file.write))
    click.echo(bytes(output.absolute()))


def _export_by_job(
    settings: Settings, since: str, begin: str, kind: str, session: str, name: str
) -> int:
    """Let a job write the file with this name in the folder of the jobs."""
    from ops.cli.jobs.job_request import request_and_wait

    arguments = {"output": name, "format": kind, "since": begin, "session": session}
    # --since as it was written: the entry where the export begins differs each time
    work = [name, kind, session, since]
    job = request_and_wait(settings, "export", Path(name).name, work, arguments)
    if not job.done:
        return 1
    click.echo(os.fsencode(job.result["output"]))
    return 0
