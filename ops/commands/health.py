"""`earshot health`: asks the process of this machine or container how it is."""

import urllib.error
import urllib.request
from typing import Final

import click

from common.errors import BadSetting, EarshotError
from common.settings import Settings
from ops.options import setting, settings_of

TIMEOUT_S: Final = 15.0
"""Longer than the process takes to find out that it is stuck."""

ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


class Unwell(EarshotError):
    """The process cannot do its work, or does not answer."""


@click.command("health")
@click.option("--ready", is_flag=True, help="Whether it can work now, not only whether it lives.")
@setting("--host", "metrics.host", metavar="ADDRESS")
@setting("--port", "metrics.port", metavar="PORT")
@click.pass_context
def command(ctx: click.Context, ready: bool) -> None:
    """Ask the process that serves EARSHOT_METRICS__PORT how it is: for health checks.

    Exits 0 when all is well, 1 with a sentence when not.
    """
    click.echo(ask(settings_of(ctx), "readyz" if ready else "healthz"))


def ask(settings: Settings, page: str) -> str:
    """What a page says; raises Unwell if it says no, or nothing, BadSetting without a port."""
    host, port = settings.metrics.host, settings.metrics.port
    if not port:
        raise BadSetting("EARSHOT_METRICS__PORT is not set: nothing can be asked")
    # no proxy: the process is on this machine
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = f"http://{ANYWHERE.get(host, host)}:{port}/{page}"
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            return str(answer.read().decode().strip())
    except urllib.error.HTTPError as error:
        raise Unwell(error.read().decode(errors="replace").strip() or str(error)) from None
    except OSError as error:
        raise Unwell(f"{url} does not answer ({error})") from None
