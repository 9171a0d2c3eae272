"""`earshot health`: asks the process of this machine or container how it is."""

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Final

import click

from common.errors import BadSetting, EarshotError
from common.settings import Settings
from ops.cli.options import load_settings, setting

TIMEOUT_S: Final = 15.0
"""Longer than the process takes to find out that it is stuck."""

ONE_LINE: Final = 10_000  # bytes

LOOPBACK_OF: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


class Unhealthy(EarshotError):
    """The process cannot do its work, or does not answer."""


@click.command("health")
@click.option("--ready", is_flag=True, help="Whether it can work now, not only whether it lives.")
@setting("--host", "metrics.host", metavar="ADDRESS", says="Where the process listens.")
@setting("--port", "metrics.port", metavar="PORT", says="The port that it serves its pages on.")
@click.pass_context
def command(ctx: click.Context, ready: bool) -> None:
    """Ask the process that serves EARSHOT_METRICS__PORT how it is: for health checks.

    Exits 0 when all is well, 1 with a sentence when not.
    """
    click.echo(fetch_health(load_settings(ctx), "readyz" if ready else "healthz"))


def fetch_health(settings: Settings, page: str) -> str:
    """What a page says; raises Unwell if it says no, or nothing, BadSetting without a port."""
    host, port = settings.metrics.host, settings.metrics.port
    if not port:
        raise BadSetting("EARSHOT_METRICS__PORT is not set: nothing can be asked")
    # no proxy: the process is on this machine
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = f"http://{LOOPBACK_OF.get(host, host)}:{port}/{page}"
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            return _read_sentence(answer, url)
    except urllib.error.HTTPError as error:
        raise Unhealthy(_read_sentence(error, url)) from None
    except (OSError, HTTPException, UnicodeError) as error:
        raise Unhealthy(f"{url} does not answer ({error})") from None


def _read_sentence(answer: Any, url: str) -> str:
    """The sentence on a page of earshot; raises Unwell for another server's page."""
    if answer.headers.get_content_type() != "text/plain":
        raise Unhealthy(f"what answers at {url} is not earshot: it says {answer.status}")
    text: str = answer.read(ONE_LINE).decode(errors="replace")
    return next(iter(text.splitlines()), f"it says {answer.status}")
