"""`earshot listen`: the producer."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from common.errors import BadInput, to_printable
from common.settings import Settings
from common.telemetry import logs
from ops.cli.options import load_settings, log_options, redis_options, setting
from ops.cli.terminal.mute_signal import MuteSignal
from ops.local.signals import run_role

# importing it loads NumPy, which --help must not wait for
if TYPE_CHECKING:
    from producer.sources.mute import Mute
    from producer.sources.source import Source


@click.command("listen")
@click.option(
    "--input",
    "input_",
    metavar="FILE|-",
    help="Read an audio file or a named pipe instead of the microphone; - reads stdin. A pipe may"
    " carry a recording in any format, or raw samples: s16le, 16 kHz, mono.",
)
@click.option(
    "--realtime", is_flag=True, help="Read --input at the speed of speech, not as fast as possible."
)
@setting("--session", "listen.session")
@setting("--device", "listen.device")
@setting("--channel", "listen.channel")
@setting("--preset", "listen.preset")
@setting("--silence", "listen.silence_s")
@setting("--min-speech", "listen.min_speech_s")
@setting("--pre-roll", "listen.pre_roll_s")
@setting("--max-utterance", "listen.max_utterance_s")
@setting("--vad", "listen.vad")
@setting("--vad-mode", "listen.vad_mode")
@setting("--frame-ms", "listen.frame_ms")
@setting("--push-to-talk", "listen.push_to_talk", is_flag=True, default=None)
@setting("--codec", "listen.codec")
@setting("--language", "listen.language")
@setting("--persona", "listen.persona")
@setting("--interrupt", "listen.interrupt")
@setting("--eager", "listen.eager")
@setting("--outbox", "listen.outbox")
@redis_options
@log_options
@click.pass_context
def command(ctx: click.Context, input_: str | None, realtime: bool) -> None:
    """Listen to a microphone or a file, cut the speech into utterances and send them.

    Utterances wait in an outbox on disk until Redis has them, so nothing is lost while the network
    is down. Ctrl+C sends what was said so far and stops. In a terminal, m or space mutes and
    unmutes; for a service, SIGUSR1 does.

    \b
    earshot listen                              the default microphone
    earshot listen --device usb                 the first one with "usb" in its name
    earshot listen --input talk.mp3 --session s1
    curl -s https://example.org/live.mp3 | earshot listen --input -
    arecord -f S16_LE -r 16000 -c 1 -t raw | earshot listen --input -
    """
    signals = MuteSignal()
    settings = load_settings(ctx)
    if realtime and input_ is None:
        raise BadInput(
            "--realtime works only together with --input: a microphone is always real time"
        )
    from ops.cli.roles.producer_run import ProducerRun
    from producer.sources.mute import Mute

    mute = Mute(settings.listen.push_to_talk)
    source = _make_source(settings, input_, realtime, mute)
    logs.set_up(settings.log)
    run_role(ProducerRun(settings, source, mute, signals, realtime or source.is_live).run)


def _make_source(settings: Settings, input_: str | None, realtime: bool, mute: "Mute") -> "Source":
    frame_ms, channel = settings.listen.frame_ms, settings.listen.channel
    if input_ is None:
        from producer.microphone.microphone import Microphone

        return Microphone(settings.listen.device, frame_ms, mute=mute, channel=channel)
    path = Path(input_)
    if input_ == "-" or path.is_fifo():
        from producer.sources.raw_pcm import RawPcmSource, open_fifo

        stream = sys.stdin.buffer if input_ == "-" else open_fifo(path)
        name = "stdin" if input_ == "-" else to_printable(path.name)
        return RawPcmSource(stream, frame_ms, realtime=realtime, channel=channel, name=name)
    from producer.sources.audio_file import AudioFileSource

    return AudioFileSource(path, frame_ms, realtime=realtime, channel=channel)
