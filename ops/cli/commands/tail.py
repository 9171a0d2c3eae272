"""`earshot tail`: transcripts and replies as they happen."""

import asyncio
import os
import stat
import sys
from contextlib import aclosing, suppress
from typing import Final

import click

from common.errors import BadInput
from common.keys import check_session_id
from common.redis.opening import make_link, open_reachable_store, open_store, wait_for_redis
from common.results.subscriber import Subscriber
from common.settings import LogSettings, Settings
from common.telemetry import logs
from ops.cli.options import load_settings_and_logs, log_options, redis_options
from ops.cli.terminal.conversation import Conversation
from ops.local.closed_output import is_closed
from ops.queries.since import find_start, parse_age

READER_LEFT_S: Final = 0.5
"""How soon the command notices that the program behind its pipe has ended."""


@click.command("tail")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object per line, in the format of docs/results.md.",
)
@click.option("--session", metavar="ID", help="Show only this session.")
@click.option(
    "--since",
    default="now",
    show_default=True,
    metavar="AGE",
    help="Where to begin: now, all (everything that is kept), or an age such as 90s, 15m, 24h.",
)
@click.option("--deltas", is_flag=True, help="With --json: print each piece of a reply too.")
@click.option(
    "--no-follow", is_flag=True, help="Stop after the last result instead of waiting for new ones."
)
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
    """Show transcripts and replies as they happen, until Ctrl+C.

    On a terminal you see each reply grow word by word.
    """
    if deltas and not as_json:
        raise BadInput(
            "--deltas works only together with --json: a terminal shows replies grow anyway"
        )
    settings = load_settings_and_logs(ctx)
    age_s = parse_age(since)
    if session is not None:
        check_session_id(session)
    try:
        asyncio.run(_tail(settings, as_json, session, age_s, deltas, not no_follow))
    except KeyboardInterrupt:
        sys.exit(0)


async def _tail(
    settings: Settings,
    as_json: bool,
    session: str | None,
    age_s: float | None,
    deltas: bool,
    follow: bool,
) -> None:
    conversation = Conversation(sessions=session is None)
    is_live = follow and not as_json and is_terminal()
    # with --no-follow the command fails at once if Redis is away
    async with (open_store if follow else open_reachable_store)(settings) as store:
        link = make_link(store, settings)
        if follow:
            await wait_for_redis(link, store, settings)
        subscriber = Subscriber(
            store,
            link,
            since=await find_start(store, link, age_s),
            deltas=is_live or deltas,
            session=session,
            follow=follow,
            patient=follow,
        )
        printing = asyncio.create_task(
            _show(subscriber, conversation, settings.log)
            if is_live
            else _print(subscriber, conversation, as_json)
        )
        leaving = asyncio.create_task(_wait_until_reader_leaves())
        try:
            await asyncio.wait({printing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if leaving.done():  # Python still tries to write the last line at its end
                logs.redirect_to_null(sys.stdout.fileno())
            leaving.cancel()
            if not printing.done():
                printing.cancel()
            with suppress(asyncio.CancelledError):
                await printing


def is_terminal() -> bool:
    """Return whether stdout is a terminal that can redraw lines."""
    from rich.console import Console

    console = Console()
    return console.is_terminal and not console.is_dumb_terminal


async def _show(subscriber: Subscriber, conversation: Conversation, log: LogSettings) -> None:
    """Print in colours, and show replies while they grow."""
    from rich.console import Console

    from ops.cli.terminal.live_tail import LiveTail

    tail = LiveTail(Console(), conversation)
    with tail.show():
        logs.set_up(log)  # again, so that log lines appear above the growing replies
        async with aclosing(subscriber.events()) as events:
            async for received in events:
                tail.add(received.event)


async def _print(subscriber: Subscriber, conversation: Conversation, as_json: bool) -> None:
    async with aclosing(subscriber.events()) as events:
        async for received in events:
            if as_json:
                click.echo(received.event.as_line())
                continue
            for line in conversation.format(received.event):
                click.echo(line)


async def _wait_until_reader_leaves() -> None:
    """Wait until the reader of our pipe has ended. While there are no results, no write fails."""
    try:
        output = sys.stdout.fileno()
    except OSError:  # it is no file
        output = -1
    if output < 0 or not stat.S_ISFIFO(os.fstat(output).st_mode):
        await asyncio.Event().wait()
    while not is_closed(output):  # noqa: ASYNC110  # the system has no event for it
        await asyncio.sleep(READER_LEFT_S)
