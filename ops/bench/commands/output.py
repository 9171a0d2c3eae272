"""What the commands of `earshot bench` share: the option --model, and printing the result."""

import json
from collections.abc import Callable
from typing import Any

import click

model_option = click.option(
    "--model",
    default="demo",
    show_default=True,
    metavar="NAME|FOLDER|demo",
    help="The STT model. demo is the small model that comes with earshot.",
)


def print_result(
    result: dict[str, Any], summarise: Callable[[dict[str, Any]], str], *, as_json: bool
) -> None:
    """Print the figures of a benchmark, as JSON or as sentences."""
    click.echo(json.dumps(result) if as_json else summarise(result))
