"""`earshot devices`: what there is to listen with."""

import json
import math
from contextlib import suppress
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Column, Table

from common.errors import BadInput, NoMicrophone
from ops.cli.options import load_settings_and_logs, overrides, setting


@click.command("devices")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@click.option("--level", is_flag=True, help="Show how loud a device is, until Ctrl+C.")
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), help="With --level: end after this long."
)
@setting("--device", "listen.device", metavar="INDEX|NAME")
@click.pass_context
def command(ctx: click.Context, as_json: bool, level: bool, seconds: float | None) -> None:
    """List the input devices; `earshot listen --device` takes an index or a part of a name.

    With --level: a meter of one device (--device; the default one without it). Speech should be
    green, and never red. A device that is muted or clips is named.
    """
    if level:
        if as_json:
            raise BadInput("--level is for people; leave one of --json and --level away")
        with suppress(KeyboardInterrupt):
            _meter(ctx, seconds)
        return
    if seconds is not None or overrides(ctx):
        raise BadInput("--seconds and --device go with --level")
    from producer.microphone.devices import list_devices

    devices = list_devices()
    if as_json:
        click.echo(json.dumps([asdict(device) for device in devices], indent=2))
        return
    if not devices:
        raise NoMicrophone("there is no input device on this host: is a microphone plugged in?")
    table = Table(
        "index",
        Column("name", overflow="fold"),
        "host API",
        "channels",
        "rate",
        "",
        box=None,
        pad_edge=False,
    )
    for device in devices:
        table.add_row(
            str(device.index),
            device.name,
            device.host_api,
            str(device.channels),
            f"{device.default_rate} Hz",
            "default" if device.is_default else "",
        )
    Console().print(table)


def _meter(ctx: click.Context, seconds: float | None) -> None:
    from ops.cli.terminal.level_meter import show_level
    from producer.microphone.microphone import Microphone

    settings = load_settings_and_logs(ctx)
    with Microphone(settings.listen.device, settings.listen.frame_ms) as microphone:
        show_level(microphone, math.inf if seconds is None else seconds, settings.log)
