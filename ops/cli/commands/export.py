"""`earshot export`: the results of the last hours, for other programs."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click

from common.errors import BadInput
from common.keys import check_session_id
from common.redis.opening import make_link, open_reachable_store
from common.settings import Settings
from ops.cli.options import redis_options, setting, settings_and_logs
from ops.queries.since import age, start


@click.command("export")
@click.option(
    "--since",
    default="24h",
    show_default=True,
    help="How far back: all (whatever is kept), or an age such as 90s, 15m, 24h.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="jsonl: an event a line, as `earshot tail --json`; csv: the same, flat, with a header.",
)
@click.option("--session", default="", help="Only this session.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Have `earshot jobs` write this file, whole, instead of printing.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@setting("--jobs-redis-url", "jobs.redis_url", metavar="URL")
@setting("--folder", "jobs.folder", metavar="FOLDER")
@redis_options
@click.pass_context
def command(
    ctx: click.Context,
    since: str,
    kind: str,
    session: str,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Print what happened, or have it written to a file.

    Results stay for EARSHOT_LIMITS__RESULTS_AGE_S, a day by default.
    """
    settings = settings_and_logs(ctx)
    if session:
        check_session_id(session)
    age_s = age(since, now=False)
    if output is None:
        asyncio.run(_print(settings, age_s, kind, session))
        return
    if output.exists() and not overwrite:
        raise BadInput(f"{output} is there already: --overwrite replaces it")
    begin = asyncio.run(_start(settings, age_s))
    ctx.exit(_by_job(settings, since, begin, kind, session, output))


async def _start(settings: Settings, age_s: float | None) -> str:
    async with open_reachable_store(settings) as store:
        return await start(store, make_link(store, settings), age_s)


async def _print(settings: Settings, age_s: float | None, kind: str, session: str) -> None:
    from ops.jobs.tasks.export import events_of
    from ops.queries.event_formats import FORMATS

    header, row = FORMATS[kind]
    async with open_reachable_store(settings) as store:
        link = make_link(store, settings)
        since = await start(store, link, age_s)
        reading = events_of(store, link, since, session, patient=False)
        click.echo(header, nl=False)
        async with aclosing(reading.events()) as events:
            async for received in events:
                click.echo(row(received.event), nl=False)


def _by_job(
    settings: Settings, since: str, begin: str, kind: str, session: str, output: Path
) -> int:
    from ops.cli.jobs.asking import ask_and_wait
    from ops.jobs.shared_folder import shared_name

    arguments: dict[str, Any] = {
        "output": shared_name(output, settings.jobs),
        "format": kind,
        "since": begin,
        "session": session,
    }
    # how far back, as it was said: where that begins is another place each time
    what = [arguments["output"], kind, session, since]
    seen = ask_and_wait(settings, "export", output.name, what, arguments)
    if not seen.done:
        return 1
    click.echo(seen.result["output"])
    return 0
