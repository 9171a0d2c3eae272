"""`earshot status`: backlog, workers, dead letters."""

import asyncio
import json
import time

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from common import logs
from common.census import Census, take_census
from common.settings import Settings
from ops.conversation import one_line
from ops.options import redis_options, settings_of
from ops.running import reachable

STAGES = {
    "utterances": "speech to transcribe",
    "recordings": "recordings to transcribe",
    "turns": "turns to answer",
}


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@redis_options
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show what waits, what is in hand, who works and what died."""
    settings = settings_of(ctx)
    logs.set_up(settings.log)
    census = asyncio.run(_census(settings))
    if as_json:
        click.echo(json.dumps(census.as_dict()))
    else:
        _print(census)


async def _census(settings: Settings) -> Census:
    async with reachable(settings) as store:
        return await take_census(store)


def _print(census: Census) -> None:
    console = Console()
    table = Table("stage", "waiting", "in hand", "oldest", box=None, pad_edge=False)
    for name, stage in census.stages.items():
        oldest = "hidden" if stage.oldest_s is None else f"{stage.oldest_s:.1f} s"
        table.add_row(STAGES[name], str(stage.waiting), str(stage.in_hand), oldest)
    console.print(table)
    console.print(f"\nopen sessions  {census.open_sessions}")
    console.print(f"dead letters   {census.dead_letters}")
    if not census.workers:
        console.print("\nNo worker is running: start `earshot stt` and `earshot llm`.")
        return
    workers = Table("worker", "role", "state", "in hand", "up", box=None, pad_edge=False)
    for worker in census.workers:
        cells = (
            worker["name"],
            worker["role"],
            worker.get("waits_for") or worker["state"],
            worker.get("in_hand", 0),
            f"{max(0, time.time() - worker['started_at']) / 60:.0f} min",
        )
        # Text: square brackets in a worker's sentence are no markup
        workers.add_row(*(Text(one_line(str(cell))) for cell in cells))
    console.print()
    console.print(workers)
