"""`earshot health`: ask a process of this machine or container whether it works."""

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Final

import click

from common.errors import BadSetting, EarshotError
from common.settings import Settings
from ops.cli.options import load_settings, setting

TIMEOUT_S: Final = 15.0
"""A process that is stuck notices it within this time, and then says so."""

ANSWER_MAX: Final = 10_000
"""How much of an answer is read, in bytes: the line that says what is wrong is shorter."""

LOOPBACK_OF: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


class Unhealthy(EarshotError):
    """The process cannot do its work, or does not answer."""


@click.command("health")
@click.option(
    "--ready", is_flag=True, help="Ask whether it can work now, not only whether it is alive."
)
@setting("--host", "metrics.host", help_text="Address of the process.")
@setting(
    "--port",
    "metrics.port",
    help_text="Port of the process's health pages (EARSHOT_METRICS__PORT).",
)
@click.pass_context
def command(ctx: click.Context, ready: bool) -> None:
    """Ask the process behind EARSHOT_METRICS__PORT whether it works.

    It is made for health checks: the exit status is 0 if the process works. Otherwise it is 1, and
    the reason is printed.
    """
    click.echo(fetch_health(load_settings(ctx), "readyz" if ready else "healthz"))


def fetch_health(settings: Settings, page: str) -> str:
    """Fetch a health page.

    Raises Unhealthy if the process does not work or does not answer, and BadSetting if no port is
    set.
    """
    host, port = settings.metrics.host, settings.metrics.port
    if not port:
        raise BadSetting("EARSHOT_METRICS__PORT is not set: there is no process to ask")
    # without a proxy: the process is on this machine
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
    """Return the sentence on the page. Raises Unhealthy if it is the page of another server."""
    if answer.headers.get_content_type() != "text/plain":
        raise Unhealthy(f"the server at {url} is not earshot: it answered {answer.status}")
    text: str = answer.read(ANSWER_MAX).decode(errors="replace")
    return next(iter(text.splitlines()), f"it answered {answer.status}")
