"""`earshot bench failover`: how soon another worker has done the work of a dead one."""

import asyncio
from typing import Final

import click

from common.settings import LogSettings
from common.telemetry import logs
from ops.bench.commands.output import print_result
from ops.cli.options import json_option


@click.command("failover", short_help="Measure how soon a dead worker is replaced.")
@click.option(
    "--kills",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many workers are killed.",
)
@click.option(
    "--claim-idle",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="EARSHOT_WORKER__CLAIM_IDLE_S of the workers (s).",
)
@json_option
@click.pass_context
def failover(ctx: click.Context, kills: int, claim_idle: float, as_json: bool) -> None:
    """Kill workers in the middle of their work, and measure how soon the reply comes.

    The killed workers are alternately LLM workers that stream a reply, and STT workers that
    transcribe. The exit status is 1 if a reply came later than --claim-idle and 2 seconds after
    its kill.
    """
    from ops.bench.chaos.failover import measure

    logs.set_up(LogSettings(level="error"))
    report = asyncio.run(measure(kills, claim_idle))
    print_result(report.as_dict(), lambda result: SUMMARY.format(**result), as_json=as_json)
    ctx.exit(0 if report.passed else 1)


SUMMARY: Final = """\
{kills} workers were killed in the middle of their work. The reply came {median_s} s after the kill
(median; {min_s} to {max_s} s). The promise is {limit_s} s at most."""
