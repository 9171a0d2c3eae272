"""`earshot bench chaos`: test the promises while processes are killed and connections are cut."""

import asyncio
from pathlib import Path
from typing import Any, Final

import click

from common.settings import LogSettings
from common.telemetry import logs
from ops.bench.chaos.plan import Plan
from ops.bench.commands.output import print_result
from ops.cli.options import json_option

FAILING_EVERY_S: Final = 40.0
"""A session with failing requests has one of them in this time on average. It waits for the end of
each, which takes about half as long."""


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
@click.option(
    "--compare",
    metavar="PAIRS",
    type=click.IntRange(min=1),
    help="Make this many pairs of runs, with and without requests that always fail, and compare how"
    " long all other sessions wait.",
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
    compare: int | None,
    as_json: bool,
) -> None:
    """Kill, freeze and disconnect processes at random, and count what becomes of utterances.

    Some utterances are planted: they kill every worker that takes them, or cannot be decoded.
    Others, in sessions of their own, always fail: the LLM server answers 500 or 403, breaks off or
    ends with a fault, or the STT engine lacks memory. Each must end in its own error.

    The exit status is 1 if an utterance was lost, ended twice or came out of order, if an utterance
    ended in an error that was not planted, or if anything was left behind in Redis. With --compare
    it is also 1 if replies in the other sessions took more than 1.5 times as long with failing
    requests as without (median or p95).
    """
    from ops.bench.chaos import comparison, run

    logs.set_up(LogSettings(level="error"))
    plan = _make_plan(utterances, sessions, seconds, seed, instant=stt_engine == "instant")
    options = run.Options(plan, engine=stt_engine)
    report: run.Report | comparison.Comparison
    if compare:
        report = asyncio.run(comparison.compare(options, compare, folder=folder))
        print_result(report.as_dict(), _summarise_comparison, as_json=as_json)
    else:
        report = asyncio.run(run.run(options, folder=folder))
        print_result(report.as_dict(), _summarise, as_json=as_json)
    ctx.exit(0 if report.kept else 1)


def _make_plan(utterances: int, sessions: int, seconds: float, seed: int, *, instant: bool) -> Plan:
    failing_sessions = max(1, utterances // 2500)
    most_requests = utterances // (100 * failing_sessions)
    return Plan(
        utterances=utterances,
        sessions=sessions,
        seconds=seconds,
        seed=seed,
        stt_poison=max(1, utterances // 2500) if instant else 0,
        llm_poison=max(1, utterances // 5000) if instant else 0,
        broken=max(1, utterances // 500),
        cut_short=max(1, utterances // 1000),
        noise_share=0.02 if instant else 0.0,
        failing_sessions=failing_sessions if instant else 0,
        failing_requests=max(1, min(round(seconds / FAILING_EVERY_S), most_requests)),
    )


def _summarise(result: dict[str, Any]) -> str:
    counts = (
        "{accepted} utterances accepted: {answered} answered ({merged} of them together with the"
        " next one), {skipped} skipped, {errors} errors ({planted} were planted).\n"
        "{lost} lost, {duplicated} duplicated, {out_of_order} out of order.\n"
        "Workers: {kills} killed, {stops} frozen, {poisoned_workers} dead of a planted utterance."
        " Producers: {producer_kills} killed.\n"
        "Redis: {redis_restarts} times restarted ({redis_kills} times after a SIGKILL),"
        " {connection_cuts} times disconnected. LLM: {llm_outages} times away.\n"
        "An utterance was buried after {max_deliveries} deliveries (by default it is 5).\n"
        "Replies in sessions without a planted utterance took {reply_times[median_ms]} ms (median),"
        " {reply_times[p95_ms]} ms (p95), at a load of {load}."
    ).format(**result)
    verdict = "All promises were kept." if result["kept"] else "PROMISES WERE BROKEN."
    return "\n".join([counts, *result["broken"], verdict])


def _summarise_comparison(result: dict[str, Any]) -> str:
    parts = []
    for number, pair in enumerate(result["pairs"], 1):
        for name, run in pair["runs"].items():
            parts.append(f"Pair {number}, {name} failing requests:\n{_summarise(run)}\n")
        parts.append(f"Pair {number}: {RATIOS.format(**pair)}\n")
    parts.append(f"All pairs: {RATIOS.format(**result)}")
    verdict = (
        "All promises were kept, and nobody waited for the failing requests of others."
        if result["kept"]
        else f"NOT KEPT: a promise was broken, or a ratio is above {result['most_ratio']}."
    )
    return "\n".join([*parts, verdict])


RATIOS: Final = (
    "with failing requests, replies in all other sessions took {with[median_ms]} ms (median) and"
    " {with[p95_ms]} ms (p95); without, {without[median_ms]} ms and {without[p95_ms]} ms."
    " The ratios are {median_ratio} and {p95_ratio}."
)
