"""`earshot bench failover`: how soon another worker has done a dead one's work."""

import asyncio
import json
from typing import Final

import click

from common.settings import LogSettings
from common.telemetry import logs


@click.command("failover")
@click.option("--kills", default=20, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--claim-idle",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def failover(ctx: click.Context, kills: int, claim_idle: float, as_json: bool) -> None:
    """Kill the worker that holds the work, and time the reply by another.

    LLM workers are killed while they stream a reply, STT workers while they transcribe, in turn.
    Exits 1 when a reply came later than --claim-idle and 2 seconds after the kill.
    """
    from ops.bench.chaos.failover import measure

    logs.set_up(LogSettings(level="error"))
    measured = asyncio.run(measure(kills, claim_idle))
    result = measured.as_dict()
    click.echo(json.dumps(result) if as_json else FAILOVER.format(**result))
    ctx.exit(0 if measured.passed else 1)


FAILOVER: Final = """\
{kills} kills of the worker that held the work: the reply by another came after
{min_s} s at least, {median_s} s in the middle, {max_s} s at most ({limit_s} s are promised)."""
