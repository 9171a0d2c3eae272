"""`earshot bench eager`: what eager transcription gains and costs."""

import asyncio
from typing import Any

import click

from common.settings import LogSettings
from common.telemetry import logs
from ops.bench.commands.output import model_option, print_result
from ops.bench.progress import show_on_stderr
from ops.cli.options import json_option


@click.command("eager", short_help="Measure the gain of eager transcription.")
@click.option(
    "--rounds",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="How often all sentences are played. One round takes about two minutes.",
)
@model_option
@json_option
def eager(rounds: int, model: str, as_json: bool) -> None:
    """Measure how much sooner transcripts come with eager transcription, and its extra work.

    Sentences are played at the speed of speech to one STT worker, each with eager transcription on
    and off.
    """
    from ops.bench.eager import make_clips, measure

    logs.set_up(LogSettings(level="error"))
    report = asyncio.run(measure(make_clips() * rounds, model=model, show=show_on_stderr))
    print_result(report.as_dict(), _summarise, as_json=as_json)


def _summarise(result: dict[str, Any]) -> str:
    beyond, extra = result["beyond_silence_ms"], result["extra_stt_per_turn"]
    return (
        f"{result['turns']} turns each with eager transcription on and off, model"
        f" {result['model']}.\n"
        f"Time from the end of the silence to the transcript (median): {beyond['on']} ms with"
        f" eager transcription, {beyond['off']} ms without (ratio {result['ratio']}).\n"
        f"STT was done before the end of {result['stt_done_before_the_end']:.0%} of the turns, and"
        f" for {result['stt_done_share_of_silence']:.0%} of the silence (median).\n"
        f"Extra time of STT: {extra['without_pauses']['share']:.0%} in turns without a pause,"
        f" {extra['with_a_pause']['share']:.0%} in turns with one."
    )
