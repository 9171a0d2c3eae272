"""`earshot devices`: the input devices of this machine."""

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
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--level", is_flag=True, help="Show how loud one device is, until Ctrl+C.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="With --level: stop after this time.",
)
@setting("--device", "listen.device")
@click.pass_context
def command(ctx: click.Context, as_json: bool, level: bool, seconds: float | None) -> None:
    """List the input devices: `earshot listen --device` takes an index or a part of a name.

    --level shows the level of one device: of --device, or of the default device. Normal speech
    should be green; red means too loud. A warning tells you if the device is muted or clips.
    """
    if level:
        if as_json:
            raise BadInput("--level and --json do not work together: use one of them")
        with suppress(KeyboardInterrupt):
            _meter(ctx, seconds)
        return
    if seconds is not None or overrides(ctx):
        raise BadInput("--seconds and --device work only together with --level")
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
