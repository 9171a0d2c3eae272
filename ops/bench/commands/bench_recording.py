"""`earshot bench recording`: a long recording behind live speech."""

import asyncio
import json
from typing import Final

import click

from common.settings import LogSettings
from common.telemetry import logs


@click.command("recording")
@click.option("--hours", default=3.0, show_default=True, type=click.FloatRange(min=0.01))
@click.option(
    "--sentence-every",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=5),
    help="Seconds between its sentences.",
)
@click.option(
    "--live-every",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds, the mean.",
)
@click.option("--stt", default=2, show_default=True, type=click.IntRange(min=1), help="Workers.")
@click.option(
    "--kept-for-live", default=1, show_default=True, type=click.IntRange(min=0), help="Of them."
)
@click.option("--model", default="demo", show_default=True, metavar="NAME|FOLDER|demo")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def recording(
    ctx: click.Context,
    hours: float,
    sentence_every: float,
    live_every: float,
    stt: int,
    kept_for_live: int,
    model: str,
    as_json: bool,
) -> None:
    """Transcribe a made-up recording of hours while live utterances come in, and time both.

    The recording is the bundled sentences in a quiet room: all of it is read and judged, and what
    is speech goes through the STT workers. Exits 1 when something is missing from the transcript,
    or when live utterances waited longer for a worker (median) than one takes to decode.
    """
    from ops.bench.recording import Options, measure

    if kept_for_live >= stt:
        raise click.UsageError("one of the workers has to take the recording")
    logs.set_up(LogSettings(level="error"))
    options = Options(
        hours=hours,
        sentence_every_s=sentence_every,
        live_every_s=live_every,
        workers=stt,
        kept_for_live=kept_for_live,
        model=model,
    )
    measured = asyncio.run(measure(options))
    result = measured.as_dict()
    click.echo(json.dumps(result) if as_json else SUMMARY.format(**result))
    ctx.exit(0 if measured.passed else 1)


SUMMARY: Final = """\
{hours} h of recording in {took_s} s: {lines} of {sentences} sentences in the transcript, at most \
{backlog_max} utterances waiting, {rss_mb} MB of memory at most.
Meanwhile {live} live utterances waited {wait_ms} ms for a worker (median; 95 %: {wait_p95_ms} ms, \
at most {wait_max_ms} ms), of {workers} workers of which {kept_for_live} take live speech only; \
decoding one took {decode_ms} ms (median)."""
