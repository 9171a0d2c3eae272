"""`earshot bench eager`: what eager transcription gains and costs."""

import asyncio
import json
from typing import Any

import click

from common.settings import LogSettings
from common.telemetry import logs


@click.command("eager")
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--model", default="demo", show_default=True, metavar="NAME|FOLDER|demo")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def eager(rounds: int, model: str, as_json: bool) -> None:
    """How much of the wait for silence STT gets done, and what it costs.

    Plays sentences at the speed of speech to an STT worker, each with eager transcription on and
    off: about two minutes a round.
    """
    from ops.bench.eager import clips, measure

    logs.set_up(LogSettings(level="error"))
    measured = asyncio.run(
        measure(clips() * rounds, model=model, say=lambda line: click.echo(line, err=True))
    )
    result = measured.as_dict()
    click.echo(json.dumps(result) if as_json else _summary(result))


def _summary(result: dict[str, Any]) -> str:
    beyond, extra = result["beyond_silence_ms"], result["extra_stt_per_turn"]
    return (
        f"{result['turns']} turns each with eager transcription on and off ({result['model']}).\n"
        f"From the end of the silence to the transcript: {beyond['on']} ms with it, {beyond['off']}"
        f" ms without (medians): {result['ratio']} of it is left.\n"
        f"STT was done before the end of {result['stt_done_before_the_end']:.0%} of the turns, and"
        f" for {result['stt_done_share_of_silence']:.0%} of the silence (median).\n"
        f"Extra STT work: {extra['without_pauses']['share']:.0%} in turns without a pause,"
        f" {extra['with_a_pause']['share']:.0%} in turns with one."
    )
