"""`earshot up`: everything on this machine."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final

import click
from platformdirs import user_data_path

from common.errors import BadSetting
from common.results.subscriber import Subscriber
from common.settings import Settings
from common.settings.masking import mask_password
from ops.cli.options import load_settings_and_logs, log_options, overrides, setting, verbose_option
from ops.cli.terminal.conversation import Conversation
from ops.local.machine import Machine, chosen_settings, run_machine
from ops.local.signals import run_role
from ops.local.supervisor import StopRequested, print_to_stderr

DASHBOARD_LINE: Final = "Dashboard: "
"""The line with the dashboard's address begins with this."""

SERVER_HELP: Final = "Your LLM server.  [default: a stand-in without a model]"
REDIS_HELP: Final = "Your Redis.  [default: an embedded one]"
COUNT: Final = click.IntRange(min=0)
WARNING: Final = re.compile(r'"level": "(warning|error|critical)"|\[(warning|error|critical)')
"""Matches log lines that a person should see, in JSON and in console format."""


@click.command("up")
@click.option(
    "--stt",
    default=1,
    show_default=True,
    type=COUNT,
    metavar="N",
    help="Number of STT worker processes.",
)
@click.option(
    "--llm",
    default=1,
    show_default=True,
    type=COUNT,
    metavar="N",
    help="Number of LLM worker processes.",
)
@click.option(
    "--input", "input_", metavar="FILE", help="Play an audio file instead of the microphone."
)
@click.option(
    "--no-listen",
    is_flag=True,
    help="Do not listen: run only Redis, the workers and the dashboard.",
)
@click.option("--no-dashboard", is_flag=True, help="Do not serve the web page.")
@verbose_option
@setting("--model", "stt.model")
@setting("--base-url", "llm.base_url", help_text=SERVER_HELP)
@setting("--persona", "llm.persona")
@setting("--session", "listen.session")
@setting("--device", "listen.device")
@setting("--redis-url", "redis.url", help_text=REDIS_HELP)
@log_options
@click.pass_context
def command(
    ctx: click.Context,
    stt: int,
    llm: int,
    input_: str | None,
    no_listen: bool,
    no_dashboard: bool,
    verbose: bool,
) -> None:
    """Run everything on this machine: Redis, workers, microphone and dashboard.

    It prints the conversation; Ctrl+C stops everything.

    Without EARSHOT_REDIS__URL it starts an embedded Redis, which keeps its data between runs.
    Without EARSHOT_LLM__BASE_URL a stand-in answers with prepared jokes. It serves the dashboard
    only if the extra `dashboard` is installed.
    """
    settings = load_settings_and_logs(ctx)
    listen = None if no_listen else (["--input", input_, "--realtime"] if input_ else [])
    values = overrides(ctx)

    def on_line(name: str, line: str) -> None:
        if line.startswith(DASHBOARD_LINE):
            click.echo(line, err=True)
        elif verbose or WARNING.search(line):
            print_to_stderr(name, line)

    web = not no_dashboard
    run_role(lambda stop: _up(settings, values, stt, llm, listen, web, on_line, stop))


async def _up(
    settings: Settings,
    values: dict[str, Any],
    stt: int,
    llm: int,
    listen: list[str] | None,
    web: bool,
    on_line: Callable[[str, str], None],
    stop: asyncio.Event,
) -> None:
    chosen = chosen_settings(settings, values)
    own_redis, stand_in = "redis.url" not in chosen, "llm.base_url" not in chosen
    folder = user_data_path("earshot") / "redis"
    try:
        async with run_machine(
            values,
            stop,
            on_line,
            redis_folder=folder,
            own_redis=own_redis,
            stand_in=stand_in,
        ) as parts:
            _introduce(parts, folder if own_redis else None, stand_in)
            if web:
                await _start_dashboard(parts)
            await parts.start_workers(stt=stt, llm=llm)
            await parts.wait_until_ready(None)
            if listen is not None:
                await parts.start("listen", "listen", *listen, restart=not listen)
            click.echo("Ready. Ctrl+C stops everything.\n", err=True)
            await parts.supervisor.wait_for(_print(parts), stop=stop)
    except StopRequested:
        click.echo("Stopped.", err=True)


async def _start_dashboard(parts: Machine) -> None:
    """Start the dashboard if it can run. Without it everything else runs all the same."""
    try:
        from ops.dashboard.server import choose_address, open_listener
    except ModuleNotFoundError:
        return  # the extra is not installed
    options = parts.settings.dashboard
    try:
        open_listener(choose_address(options), options.port).close()
    except BadSetting as error:
        click.echo(f"No dashboard: {error}", err=True)
    else:
        await parts.start("dashboard", "dashboard")


def _introduce(parts: Machine, folder: object, stand_in: bool) -> None:
    settings = parts.settings
    where = f"embedded, data in {folder}" if folder else mask_password(settings.redis.url)
    click.echo(f"Redis: {where}\nSTT:   {settings.stt.model}", err=True)
    if stand_in:
        click.echo(
            "LLM:   a stand-in without a model; set EARSHOT_LLM__BASE_URL to use your server",
            err=True,
        )
    else:
        click.echo(f"LLM:   {mask_password(settings.llm.base_url)}", err=True)


async def _print(parts: Machine) -> None:
    conversation = Conversation(sessions=True)
    async for received in Subscriber(parts.store, parts.link, deltas=False).events():
        for line in conversation.format(received.event):
            click.echo(line)
