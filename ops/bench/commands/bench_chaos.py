"""`earshot bench chaos`: tests the promises while processes are killed and connections are cut."""

import asyncio
from pathlib import Path
from typing import Any

import click

from common.settings import LogSettings
from common.telemetry import logs
from ops.bench.commands.output import print_result
from ops.cli.options import json_option


@click.command("chaos", short_help="Test the promises while processes are killed.")
@click.option(
    "--utterances",
    default=5000,
    show_default=True,
    type=click.IntRange(min=20),
    help="How many utterances are published.",
)
@click.option(
    "--sessions",
    default=50,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many sessions they belong to.",
)
@click.option(
    "--seconds",
    default=120.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="How long the run takes, without the time to finish all work.",
)
@click.option(
    "--seed", default=1, show_default=True, help="The same seed gives the same faults again."
)
@click.option(
    "--stt-engine",
    type=click.Choice(["instant", "demo"]),
    default="instant",
    show_default=True,
    help="instant reads a number in the audio; demo is the small model that comes with earshot.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the logs of the processes and the data of Redis in this folder.",
)
@json_option
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
    """Kill, freeze and disconnect processes at random, and count what becomes of utterances.

    Some utterances are planted: they kill every worker that takes them, or cannot be decoded. They
    must end in an error.

    The exit status is 1 if an utterance was lost, ended twice or came out of order, if an utterance
    ended in an error that was not planted, or if anything was left behind in Redis.
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
    print_result(report.as_dict(), _summarise, as_json=as_json)
    ctx.exit(0 if report.kept else 1)


def _summarise(result: dict[str, Any]) -> str:
    counts = (
        "{accepted} utterances accepted: {answered} answered ({merged} of them together with the"
        " next one), {skipped} skipped, {errors} errors ({planted} were planted).\n"
        "{lost} lost, {duplicated} duplicated, {out_of_order} out of order.\n"
        "Workers: {kills} killed, {stops} frozen, {poisoned_workers} dead of a planted utterance."
        " Producers: {producer_kills} killed.\n"
        "Redis: {redis_restarts} times restarted ({redis_kills} times after a SIGKILL),"
        " {connection_cuts} times disconnected. LLM: {llm_outages} times away.\n"
        "An utterance was buried after {max_deliveries} deliveries (by default it is 5)."
    ).format(**result)
    verdict = "All promises were kept." if result["kept"] else "PROMISES WERE BROKEN."
    return "\n".join([counts, *result["broken"], verdict])
