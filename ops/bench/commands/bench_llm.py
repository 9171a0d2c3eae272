"""`earshot bench llm`: what an LLM worker adds to the server's time, with many conversations."""

import asyncio
import json
from typing import Any

import click

from common.settings import LogSettings
from common.telemetry import logs


@click.command("llm")
@click.option("--sessions", default=64, show_default=True, type=click.IntRange(min=2))
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--seconds",
    default=15.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="Of each run; two a repeat.",
)
@click.option(
    "--tokens-per-s",
    default=15.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="The stand-in's speed.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def llm(
    ctx: click.Context,
    sessions: int,
    repeats: int,
    seconds: float,
    tokens_per_s: float,
    as_json: bool,
) -> None:
    """The time to the first token that one LLM worker adds, with one session and with many.

    A real worker and the stand-in LLM, whose own time is subtracted; runs with one session and with
    --sessions at once take turns. Exits 1 when a session's replies came out of order.
    """
    from ops.bench.llm import Load, measure

    load = Load(sessions=sessions, repeats=repeats, seconds=seconds, tokens_per_s=tokens_per_s)
    logs.set_up(LogSettings(level="error"))
    measured = asyncio.run(measure(load, say=lambda line: click.echo(line, err=True)))
    result = measured.as_dict()
    click.echo(json.dumps(result) if as_json else _summary(result))
    ctx.exit(0 if result["in_order"] else 1)


def _summary(result: dict[str, Any]) -> str:
    one, many = result["added_first_token_ms"].values()
    order = "every session in order" if result["in_order"] else "SESSIONS OUT OF ORDER"
    return (
        f"The worker added {one['median']} ms to the server's first token with one session"
        f" ({one['turns']} turns), {many['median']} ms with {result['sessions']}"
        f" ({many['turns']} turns, up to {result['in_flight']} in flight): {result['ratio']}"
        f" times as much (medians).\n"
        f"Its memory was {result['worker_rss_mb']} MB at most; {order}."
    )
