"""`earshot dashboard`: the web page."""

import asyncio

import click

from common.settings import Settings
from ops.cli.options import load_settings_and_logs, log_options, redis_options, setting
from ops.local.signals import run_role


@click.command("dashboard")
@setting("--host", "dashboard.host")
@setting("--port", "dashboard.port")
@redis_options
@log_options
@click.pass_context
def command(ctx: click.Context) -> None:
    """Serve a web page with the conversations, the pipeline and the dead letters.

    Without EARSHOT_DASHBOARD__TOKEN, only this machine can open the page. With a token, other
    machines can too: the page asks for it, and programs send `Authorization: Bearer TOKEN`.
    """
    settings = load_settings_and_logs(ctx)
    run_role(lambda stop: _run(settings, stop))


async def _run(settings: Settings, stop: asyncio.Event) -> None:
    from ops.dashboard.run import run

    await run(settings, stop, lambda url: click.echo(f"Dashboard: {url}"))
