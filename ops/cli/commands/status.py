"""`earshot status`: the backlog, the workers, the number of dead letters."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Final

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from common.redis.failures import explain_failure, is_unusable
from common.redis.opening import make_link, open_reachable_store, open_store
from common.redis.store import Store
from common.settings import Settings
from common.status.snapshot import Snapshot, take_snapshot
from common.telemetry import logs
from ops.cli.options import json_option, load_settings_and_logs, redis_options
from ops.cli.terminal.conversation import to_one_line
from ops.cli.terminal.drawing import restored_terminal

LOOK_EVERY_S: Final = 1.0

STAGES: Final = {
    "utterances": "speech to transcribe",
    "recordings": "recordings to transcribe",
    "turns": "turns to answer",
}


@click.command("status")
@json_option
@click.option("--watch", is_flag=True, help="Refresh every second, until Ctrl+C.")
@redis_options
@click.pass_context
def command(ctx: click.Context, as_json: bool, watch: bool) -> None:
    """Show how much work waits, which workers run, and how many utterances failed for good."""
    settings = load_settings_and_logs(ctx)
    if watch:
        # the display shows what the log would say
        logs.set_up(settings.log.model_copy(update={"level": "error"}))
        try:
            asyncio.run(_watch(settings, as_json))
        except KeyboardInterrupt:
            ctx.exit(0)
    snapshot = asyncio.run(_read_snapshot(settings))
    if as_json:
        click.echo(json.dumps(snapshot.as_dict()))
    else:
        Console().print(render(snapshot))


async def _watch(settings: Settings, as_json: bool) -> None:
    """Show the status for ever; while Redis is away, show that."""
    console = Console()
    async with open_store(settings) as store:
        snapshots = _poll(store, settings)
        if console.is_terminal and not as_json:
            live = Live(console=console, auto_refresh=False, screen=True)
            with restored_terminal(console.file, live, is_full_screen=True):
                async for snapshot in snapshots:
                    live.update(_render_or_explain(snapshot), refresh=True)
        async for snapshot in snapshots:
            if not as_json:
                console.print(_render_or_explain(snapshot), "")
            elif isinstance(snapshot, Snapshot):
                click.echo(json.dumps(snapshot.as_dict()))


def _render_or_explain(snapshot: Snapshot | str) -> RenderableType:
    return render(snapshot) if isinstance(snapshot, Snapshot) else Text(snapshot)


async def _poll(store: Store, settings: Settings) -> AsyncIterator[Snapshot | str]:
    """Yield a snapshot each second, or a sentence that says why there is none."""
    link = make_link(store, settings)
    while True:
        try:
            yield await link.call(take_snapshot, store)
        except Exception as error:
            if not is_unusable(error):
                raise
            yield explain_failure(error, settings.redis)
        await asyncio.sleep(LOOK_EVERY_S)


async def _read_snapshot(settings: Settings) -> Snapshot:
    async with open_reachable_store(settings) as store:
        return await take_snapshot(store)


def render(snapshot: Snapshot) -> RenderableType:
    """Render the snapshot for a person."""
    columns = "stage", "waiting", "in hand", "failed, tried again later", "oldest"
    table = Table(*columns, box=None, pad_edge=False)
    for name, stage in snapshot.stages.items():
        oldest = "unknown" if stage.oldest_s is None else f"{stage.oldest_s:.1f} s"
        counts_of = (stage.waiting, stage.in_hand, stage.deferred)
        table.add_row(STAGES[name], *map(str, counts_of), oldest)
    counts = Text(
        f"\nopen sessions  {snapshot.open_sessions}\ndead letters   {_render_letters(snapshot)}\n"
    )
    if snapshot.set_aside_count:
        counts.append(_render_set_aside(snapshot))
    if not snapshot.workers:
        nobody = "No worker is running: start `earshot stt` and `earshot llm`."
        return Group(table, counts, Text(nobody))
    workers = Table(
        Column("worker", no_wrap=True),
        "role",
        Column("state", overflow="fold"),
        "in hand",
        "runs for",
        box=None,
        pad_edge=False,
    )
    for worker in snapshot.workers:
        cells = (
            worker.name,
            worker.role,
            worker.waits_for or worker.state,
            worker.in_hand,
            f"{max(0, time.time() - worker.started_at) / 60:.0f} min",
        )
        # as Text, so that square brackets in a worker's sentence are no markup
        workers.add_row(*(Text(to_one_line(str(cell))) for cell in cells))
    return Group(table, counts, workers)


def _render_letters(snapshot: Snapshot) -> str:
    if not snapshot.dead_letters:
        return "0"
    return f"{snapshot.dead_letters} ({snapshot.dead_letter_bytes / 2**20:.1f} MiB)"


def _render_set_aside(snapshot: Snapshot) -> str:
    named = [to_one_line(f"  {name}: {why}") for name, why in snapshot.set_aside.items()]
    if more := snapshot.set_aside_count - len(named):
        named.append(f"  and {more} more")
    return "\n".join([f"set aside      {snapshot.set_aside_count}", *named, ""])
