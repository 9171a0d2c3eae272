"""`earshot devices`: what there is to listen with."""

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from common.errors import NoMicrophone


@click.command("devices")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
def command(as_json: bool) -> None:
    """List the input devices; `earshot listen --device` takes an index or a part of a name."""
    from producer.devices import list_devices

    devices = list_devices()
    if as_json:
        click.echo(json.dumps([asdict(device) for device in devices], indent=2))
        return
    if not devices:
        raise NoMicrophone("there is no input device on this host: is a microphone plugged in?")
    table = Table("index", "name", "host API", "channels", "rate", "", box=None, pad_edge=False)
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
