"""`earshot summary`: a conversation in a few sentences."""

import asyncio

import click

from common.errors import BadInput
from common.keys import check_session_id
from common.redis.opening import open_reachable_store
from common.settings import Settings
from common.status.sessions import read_extent
from ops.cli.options import jobs_options, load_settings_and_logs


@click.command("summary")
@click.argument("session")
@jobs_options
@click.pass_context
def command(ctx: click.Context, session: str) -> None:
    """Print a summary of SESSION, which `earshot jobs` makes: it must be running.

    If nothing was said since the last summary, that one is printed again.
    """
    settings = load_settings_and_logs(ctx)
    check_session_id(session)
    epoch, turn = asyncio.run(_read_extent(settings, session))
    from ops.cli.jobs.job_request import request_and_wait

    job = request_and_wait(
        settings,
        "summary",
        session,
        [session, epoch, turn],
        {"session": session, "epoch": epoch, "turn": turn},
        again="failed",
    )
    if job.done:
        click.echo(job.result["text"])
    ctx.exit(0 if job.done else 1)


async def _read_extent(settings: Settings, session: str) -> tuple[int, int]:
    """Return the epoch and the last turn of a conversation. Raises BadInput if there is none."""
    async with open_reachable_store(settings) as store:
        extent = await read_extent(store, session)
    if extent is None:
        raise BadInput(
            f"there is no conversation {session!r}: a conversation is forgotten"
            f" {settings.limits.session_ttl_s / 3600:g} h after its last turn"
        )
    return extent
