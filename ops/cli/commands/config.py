"""`earshot config`: the settings and where they came from."""

import json

import click

from common.settings.loading import list_origins
from ops.cli.options import json_option, load_settings, overrides


@click.command("config")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Print every setting and where its value came from; passwords and keys are masked."""
    rows = list(list_origins(load_settings(ctx), overrides(ctx)))
    if as_json:
        click.echo(
            json.dumps(
                {row.name: {"value": row.value, "from": row.origin} for row in rows}, indent=2
            )
        )
        return
    width = max(len(f"{row.name} = {row.value}"[:60]) for row in rows)
    for row in rows:
        click.echo(f"{f'{row.name} = {row.value}':<{width}}  # {row.origin}")
