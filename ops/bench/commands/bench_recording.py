"""`earshot bench recording`: how long live speech waits while a long recording is transcribed."""

import asyncio
from typing import Final

import click

from common.settings import LogSettings
from common.telemetry import logs
from ops.bench.commands.output import model_option, print_result
from ops.cli.options import json_option


@click.command("recording", short_help="Measure how long live speech waits.")
@click.option(
    "--hours",
    default=3.0,
    show_default=True,
    type=click.FloatRange(min=0.01),
    help="How long the recording is.",
)
@click.option(
    "--sentence-every",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=5),
    help="Seconds from one sentence of the recording to the next.",
)
@click.option(
    "--live-every",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Mean time from one live utterance to the next (s).",
)
@click.option(
    "--stt",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many STT workers there are.",
)
@click.option(
    "--kept-for-live",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many of them take live speech only.",
)
@model_option
@json_option
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
    """Transcribe a long recording while live utterances come in, and measure both.

    The recording is made of the sentences that come with earshot, in a quiet room. The exit status
    is 1 if a sentence is missing from the transcript, or if live utterances waited longer for a
    worker than a worker takes to decode one (medians).
    """
    from ops.bench.recording import Options, measure

    if kept_for_live >= stt:
        raise click.UsageError("at least one worker must take the recording")
    logs.set_up(LogSettings(level="error"))
    options = Options(
        hours=hours,
        sentence_every_s=sentence_every,
        live_every_s=live_every,
        workers=stt,
        kept_for_live=kept_for_live,
        model=model,
    )
    report = asyncio.run(measure(options))
    print_result(report.as_dict(), lambda result: SUMMARY.format(**result), as_json=as_json)
    ctx.exit(0 if report.passed else 1)


SUMMARY: Final = """\
A recording of {hours} h was transcribed in {took_s} s, with {rss_mb} MB of memory or less.
{lines} of {sentences} sentences are in the transcript. At most {backlog_max} utterances waited.
Meanwhile {live} live utterances waited {wait_ms} ms for a worker (median; 95 % waited at most
{wait_p95_ms} ms, the longest {wait_max_ms} ms). Decoding one took {decode_ms} ms (median).
There were {workers} workers, and {kept_for_live} of them took live speech only."""
