"""`earshot bench hearing`: how well it hears."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from common.errors import BadInput
from common.extras import how_to_install
from common.settings import LogSettings
from common.settings.loading import load_settings
from common.telemetry import logs

if TYPE_CHECKING:
    from ops.bench.hearing.whole_path import Transcribe

DETECTORS: Final = ("webrtc", "silero", "cascade")
PRESETS: Final = ("command", "conversation", "dictation")
NOISES: Final = ("white", "pink", "hum", "clicks", "babble")


@click.command("hearing")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Recordings of your own: NAME.wav or .flac, NAME.txt (what is said), optionally"
    " NAME.json (turns: [[start_s, end_s], ...]; [] for noise).",
)
@click.option("--detector", "detectors", multiple=True, type=click.Choice(DETECTORS))
@click.option("--preset", "presets", multiple=True, type=click.Choice(PRESETS))
@click.option("--noise", "noises", multiple=True, type=click.Choice(NOISES))
@click.option(
    "--snr",
    "snrs",
    multiple=True,
    type=click.FloatRange(-20, 60),
    help="dB; default 20, 10, 5 and 0.",
)
@click.option("--sentences", default=29, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--word-sentences",
    default=209,
    show_default=True,
    type=click.IntRange(min=1),
    help="Sentences to count words in, clean and at 20 dB.",
)
@click.option(
    "--word-draws",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="How often to say them, each time in other noise: narrows the interval of the difference.",
)
@click.option(
    "--noise-minutes",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0, 10_000),
    help="Alone.",
)
@click.option(
    "--model",
    help="Count words with this STT model. Default: demo, which knows the sentences of the mixes;"
    " none for --folder.",
)
@click.option("--no-words", is_flag=True, help="Count no words: much faster.")
@click.option("--seed", default=1, show_default=True, help="The same mixes for the same seed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
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
    """Mix known sentences with pauses and noise, and count what the ear makes of them.

    For each detector and preset: missed turns and false utterances, milliseconds clipped of the
    first and the last sound, turns that were cut off in a pause, the delay from the end of speech
    to the end of turn, CPU time, and the word error rate against perfectly cut sentences. Detector
    and segmenter are the real ones; time is that of the samples, so it runs faster than speech.
    """
    logs.set_up(LogSettings(level="warning"))
    transcribe = None if no_words else _transcriber(model or ("" if folder else "demo"))
    from ops.bench.hearing.plan import Plan
    from ops.bench.hearing.run import run, run_folder
    from ops.bench.hearing.summary import folder_totals, table, totals

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

    def say(text: str) -> None:
        click.echo(f"{text} ...", err=True)

    result: dict[str, Any] = (
        run(plan, transcribe, say) if folder is None else run_folder(plan, folder, transcribe, say)
    )
    result["totals"] = totals(result) if folder is None else folder_totals(result)
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(table(result["totals"]))
    for name, cpu_ms in result["cpu_ms_per_s"].items():
        click.echo(f"{name}: {cpu_ms} ms of CPU per second of audio")


def _transcriber(model: str) -> "Transcribe | None":
    if not model:
        return None
    try:
        from workers.stt.whisper import load as load_model
    except ModuleNotFoundError as error:
        raise BadInput(f"{how_to_install(error) or error}, or give --no-words") from None
    whisper = load_model(load_settings({"stt": {"model": model}}).stt)
    return lambda samples: whisper.transcribe(samples).text
