"""`earshot bench llm`: how much time an LLM worker adds to the time of the LLM server."""

import asyncio
from typing import Any

import click

from common.settings import LogSettings
from common.telemetry import logs
from ops.bench.commands.output import print_result
from ops.bench.progress import show_on_stderr
from ops.cli.options import json_option


@click.command("llm", short_help="Measure the time that an LLM worker adds.")
@click.option(
    "--sessions",
    default=64,
    show_default=True,
    type=click.IntRange(min=2),
    help="How many sessions talk at once, where there is more than one.",
)
@click.option(
    "--repeats",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    help="How often to measure with one session and with many.",
)
@click.option(
    "--seconds",
    default=15.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="How long each of these two measurements takes.",
)
@click.option(
    "--tokens-per-s",
    default=15.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="How fast the stand-in LLM answers each session.",
)
@json_option
@click.pass_context
def llm(
    ctx: click.Context,
    sessions: int,
    repeats: int,
    seconds: float,
    tokens_per_s: float,
    as_json: bool,
) -> None:
    """Measure the time to the first token that one LLM worker adds, with one session and with many.

    A real worker asks the stand-in LLM, whose own time is subtracted. The exit status is 1 if the
    replies of a session came out of order.
    """
    from ops.bench.llm import Load, measure

    load = Load(sessions=sessions, repeats=repeats, seconds=seconds, tokens_per_s=tokens_per_s)
    logs.set_up(LogSettings(level="error"))
    result = asyncio.run(measure(load, show=show_on_stderr)).as_dict()
    print_result(result, _summarise, as_json=as_json)
    ctx.exit(0 if result["in_order"] else 1)


def _summarise(result: dict[str, Any]) -> str:
    one, many = result["added_first_token_ms"].values()
    one_cpu, many_cpu = result["worker_cpu_ms_per_turn"].values()
    order = (
        "All replies came in order." if result["in_order"] else "SOME REPLIES CAME OUT OF ORDER."
    )
    return (
        f"The worker added {one['median']} ms to the server's time to the first token with one"
        f" session ({one['turns']} turns),\n"
        f"and {many['median']} ms with {result['sessions']} sessions ({many['turns']} turns, at"
        f" most {result['in_flight']} requests at once): {result['ratio']} times as much"
        f" (medians).\n"
        f"A turn took {one_cpu} ms of the worker's CPU time with one session, and {many_cpu} ms"
        f" with {result['sessions']}.\n"
        f"The worker took at most {result['worker_rss_mb']} MB of memory. {order}"
    )
