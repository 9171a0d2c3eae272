"""`earshot tail`: follow transcripts and replies."""

import asyncio
import re
import sys
import time

import click

from common import logs
from common.errors import BadInput
from common.keys import check_session_id
from common.settings import Settings
from common.subscriber import Subscriber
from ops.conversation import Conversation
from ops.options import log_options, redis_options, settings_of
from ops.running import link_of, meet, opened

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@click.command("tail")
@click.option("--json", "as_json", is_flag=True, help="One event a line, as JSON.")
@click.option("--session", help="Only this session.")
@click.option(
    "--since",
    default="now",
    show_default=True,
    help="Where to begin: now, all (whatever is kept), or an age such as 90s, 15m, 24h.",
)
@click.option("--deltas", is_flag=True, help="Also replies in the making (with --json).")
@click.option("--no-follow", is_flag=True, help="End when everything that is there was printed.")
@redis_options
@log_options
@click.pass_context
def command(
    ctx: click.Context,
    as_json: bool,
    session: str | None,
    since: str,
    deltas: bool,
    no_follow: bool,
) -> None:
    """Follow the results stream; Ctrl+C ends it.

    With --json each line is one event: v, type, session, epoch, turn, id, at, data.
    """
    settings = settings_of(ctx)
    logs.set_up(settings.log)
    start = _start(since)
    if session is not None:
        check_session_id(session)
    try:
        asyncio.run(_tail(settings, as_json, session, start, deltas, not no_follow))
    except KeyboardInterrupt:
        sys.exit(0)


def _start(since: str) -> str:
    if since in {"now", "all"}:
        return "$" if since == "now" else "0-0"
    match = re.fullmatch(r"(\d+)([smhd])", since)
    if match is None:
        raise BadInput(f"--since {since!r} is none of: now, all, or an age such as 90s, 15m, 24h")
    age_s = int(match[1]) * UNITS[match[2]]
    return f"{max(0, round((time.time() - age_s) * 1000))}-0"


async def _tail(
    settings: Settings, as_json: bool, session: str | None, start: str, deltas: bool, follow: bool
) -> None:
    conversation = Conversation(sessions=session is None)
    async with opened(settings) as store:
        link = link_of(store, settings)
        await meet(link, store, settings)
        subscriber = Subscriber(
            store, link, since=start, deltas=deltas and as_json, session=session, follow=follow
        )
        async for received in subscriber.events():
            if as_json:
                click.echo(received.event.model_dump_json(exclude_none=True))
                continue
            for line in conversation.lines(received.event):
                click.echo(line)
