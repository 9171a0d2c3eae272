"""`earshot bench hearing`: how well earshot hears."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from common.errors import BadInput
from common.extras import how_to_install
from common.settings import LogSettings
from common.settings.loading import load_settings
from common.telemetry import logs
from ops.bench.commands.output import print_result
from ops.bench.progress import show_on_stderr
from ops.cli.options import json_option

if TYPE_CHECKING:
    from ops.bench.hearing.whole_path import Transcribe

DETECTORS: Final = ("webrtc", "silero", "cascade")
PRESETS: Final = ("command", "conversation", "dictation")
NOISES: Final = ("white", "pink", "hum", "clicks", "babble")
"""The names of `ops.bench.hearing.plan`, whose import takes too long for `--help`."""


@click.command("hearing", short_help="Measure how well speech is heard in noise.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Measure your own recordings: NAME.wav or NAME.flac, NAME.txt with the spoken text, and"
    " NAME.json with the turns, [[start_s, end_s], ...]. For noise the list is empty. The last two"
    " may be missing.",
)
@click.option(
    "--detector",
    "detectors",
    multiple=True,
    type=click.Choice(DETECTORS),
    help="Measure this detector. May be repeated.  [default: all]",
)
@click.option(
    "--preset",
    "presets",
    multiple=True,
    type=click.Choice(PRESETS),
    help="Measure this preset. May be repeated.  [default: all]",
)
@click.option(
    "--noise",
    "noises",
    multiple=True,
    type=click.Choice(NOISES),
    help="Mix in this kind of noise. May be repeated.  [default: all]",
)
@click.option(
    "--snr",
    "snrs",
    multiple=True,
    type=click.FloatRange(-20, 60),
    help="How much louder than the noise the speech is (dB). May be repeated."
    "  [default: 20, 10, 5, 0]",
)
@click.option(
    "--sentences",
    default=29,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many sentences are said.",
)
@click.option(
    "--word-sentences",
    default=209,
    show_default=True,
    type=click.IntRange(min=1),
    help="In how many sentences words are counted, clean and at 20 dB. More than 29 need espeak-ng"
    " or flite.",
)
@click.option(
    "--word-draws",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="How often these are said, each time in other noise. More give a narrower interval.",
)
@click.option(
    "--noise-minutes",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0, 10_000),
    help="How long noise without speech is played, all kinds together.",
)
@click.option(
    "--model",
    metavar="NAME|FOLDER|demo",
    help="Count words with this STT model.  [default: demo; with --folder none]",
)
@click.option("--no-words", is_flag=True, help="Count no words, which is much faster.")
@click.option(
    "--seed", default=1, show_default=True, help="The same seed gives the same sound again."
)
@json_option
def hearing(
    folder: Path | None,
    detectors: tuple[str, ...],
    presets: tuple[str, ...],
    noises: tuple[str, ...],
    snrs: tuple[float, ...],
    sentences: int,
    word_sentences: int,
    word_draws: int,
    noise_minutes: float,
    model: str | None,
    no_words: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Mix known sentences with pauses and noise, and count what earshot hears.

    For each detector and preset it counts missed turns, false utterances, turns that were cut off
    in a pause, and how much of the first and last sound is missing. It measures the delay from the
    end of speech to the end of the turn, and CPU time. Word errors are compared with those of the
    same sentences, perfectly cut.

    Detector and segmenter are the real ones. They need no clock, so this runs faster than speech.
    """
    logs.set_up(LogSettings(level="warning"))
    transcribe = None if no_words else _load_model(model or ("" if folder else "demo"))
    from ops.bench.hearing.plan import Plan
    from ops.bench.hearing.run import run, run_folder
    from ops.bench.hearing.summary import sum_up, sum_up_folder

    plan = Plan(
        detectors=detectors or DETECTORS,
        presets=presets or PRESETS,
        noises=noises or NOISES,
        snrs_db=snrs or Plan().snrs_db,
        sentences=sentences,
        word_sentences=word_sentences,
        word_draws=word_draws,
        noise_minutes=noise_minutes,
        wer_preset=(presets or ("conversation",))[-1],
        seed=seed,
    )
    result: dict[str, Any]
    if folder is None:
        result = run(plan, transcribe, show_on_stderr)
        result["totals"] = sum_up(result)
    else:
        result = run_folder(plan, folder, transcribe, show_on_stderr)
        result["totals"] = sum_up_folder(result)
    print_result(result, _summarise, as_json=as_json)


def _summarise(result: dict[str, Any]) -> str:
    from ops.bench.hearing.summary import format_table

    cpu = [
        f"{name}: {cpu_ms} ms of CPU time per second of audio"
        for name, cpu_ms in result["cpu_ms_per_s"].items()
    ]
    return "\n".join([format_table(result["totals"]), *cpu])


def _load_model(model: str) -> "Transcribe | None":
    if not model:
        return None
    try:
        from workers.stt.whisper import load
    except ModuleNotFoundError as error:
        raise BadInput(f"{how_to_install(error) or error}, or use --no-words") from None
    whisper = load(load_settings({"stt": {"model": model}}).stt)
    return lambda samples: whisper.transcribe(samples).text
