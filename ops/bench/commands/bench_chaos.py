"""`earshot bench chaos`: the promises, while everything is killed and cut off at random."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from common.settings import LogSettings
from common.telemetry import logs


@click.command("chaos")
@click.option("--utterances", default=5000, show_default=True, type=click.IntRange(min=20))
@click.option("--sessions", default=50, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--seconds",
    default=120.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="How long the storm rages.",
)
@click.option("--seed", default=1, show_default=True, help="The same faults for the same seed.")
@click.option(
    "--stt-engine",
    type=click.Choice(["instant", "demo"]),
    default="instant",
    show_default=True,
    help="instant hears a number inside the audio; demo is the bundled model.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the processes' logs and Redis's data here.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def chaos(
    ctx: click.Context,
    utterances: int,
    sessions: int,
    seconds: float,
    seed: int,
    stt_engine: str,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Kill, freeze and cut off everything at random, then count what was promised.

    Exits 1 when an utterance was lost, ended twice or came out of order, when anything but what
    was planted ended in an error, or when anything is left behind.
    """
    from ops.bench.chaos.plan import Plan
    from ops.bench.chaos.run import Options, run

    logs.set_up(LogSettings(level="error"))
    instant = stt_engine == "instant"
    plan = Plan(
        utterances=utterances,
        sessions=sessions,
        seconds=seconds,
        seed=seed,
        stt_poison=max(1, utterances // 2500) if instant else 0,
        llm_poison=max(1, utterances // 5000) if instant else 0,
        broken=max(1, utterances // 500),
        cut_short=max(1, utterances // 1000),
        noise_share=0.02 if instant else 0.0,
    )
    report = asyncio.run(run(Options(plan, engine=stt_engine), folder=folder))
    result = report.as_dict()
    click.echo(json.dumps(result) if as_json else _summary(result))
    ctx.exit(0 if report.kept else 1)


def _summary(result: dict[str, Any]) -> str:
    text = (
        "{accepted} utterances accepted, {answered} answered ({merged} together with the next),"
        " {skipped} skipped, {errors} errors ({planted} were planted).\n"
        "{lost} lost, {duplicated} duplicated, {out_of_order} out of order.\n"
        "{kills} workers killed, {poisoned_workers} killed by their work, {stops} frozen,"
        " {producer_kills} producers killed, {redis_restarts} Redis restarts ({redis_kills} by"
        " SIGKILL), {connection_cuts} connection cuts, {llm_outages} LLM outages.\n"
        "An entry was buried after {max_deliveries} deliveries (5 outside of such a storm)."
    ).format(**result)
    return "\n".join(
        [text, *result["broken"], "All promises kept." if result["kept"] else "BROKEN"]
    )
