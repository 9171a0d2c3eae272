"""`earshot bench`: the benchmarks."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from common import logs
from common.settings import LogSettings
from ops.commands.bench_eager import eager
from ops.commands.bench_hearing import hearing
from ops.commands.bench_llm import llm
from ops.commands.bench_recording import recording


@click.group("bench")
def command() -> None:
    """Measure earshot on this machine, and prove what it promises."""


command.add_command(hearing)
command.add_command(llm)
command.add_command(recording)


@command.command("chaos")
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
    from ops.chaos.plan import Plan
    from ops.chaos.run import Options, run

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
    click.echo(json.dumps(result) if as_json else _chaos_summary(result))
    ctx.exit(0 if report.kept else 1)


def _chaos_summary(result: dict[str, Any]) -> str:
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


@command.command("failover")
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
    from ops.chaos.failover import measure

    logs.set_up(LogSettings(level="error"))
    measured = asyncio.run(measure(kills, claim_idle))
    result = measured.as_dict()
    click.echo(json.dumps(result) if as_json else FAILOVER.format(**result))
    ctx.exit(0 if measured.passed else 1)


FAILOVER = """\
{kills} kills of the worker that held the work: the reply by another came after
{min_s} s at least, {median_s} s in the middle, {max_s} s at most ({limit_s} s are promised)."""


command.add_command(eager)
