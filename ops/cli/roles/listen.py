"""`earshot listen`: the producer."""

import asyncio
import sys
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from common.errors import BadInput, EarshotError
from common.keys import check_session_id
from common.redis.opening import make_link, open_store, wait_for_redis
from common.settings import Settings
from common.telemetry import logs
from common.telemetry.monitoring import serve_monitoring
from common.telemetry.tracing import open_recorder
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
    help="Read an audio file instead of the microphone; - reads s16le, 16 kHz, mono from stdin.",
)
@click.option(
    "--realtime", is_flag=True, help="Read --input at the speed of speech, not as fast as possible."
)
@setting("--session", "listen.session", metavar="ID")
@setting("--device", "listen.device", metavar="INDEX|NAME")
@setting("--preset", "listen.preset", metavar="command|conversation|dictation")
@setting("--silence", "listen.silence_s", metavar="SECONDS")
@setting("--min-speech", "listen.min_speech_s", metavar="SECONDS")
@setting("--pre-roll", "listen.pre_roll_s", metavar="SECONDS")
@setting("--max-utterance", "listen.max_utterance_s", metavar="SECONDS")
@setting("--vad", "listen.vad", metavar="webrtc|silero|cascade")
@setting("--vad-mode", "listen.vad_mode", metavar="0..3")
@setting("--frame-ms", "listen.frame_ms", metavar="10|20|30")
@setting("--push-to-talk", "listen.push_to_talk", is_flag=True, default=None)
@setting("--codec", "listen.codec", metavar="flac|pcm_s16le")
@setting("--language", "listen.language", metavar="CODE")
@setting("--persona", "listen.persona", metavar="NAME")
@setting("--interrupt", "listen.interrupt", metavar="auto|off|new_turn")
@setting("--eager", "listen.eager", metavar="auto|on|off")
@setting("--outbox", "listen.outbox", metavar="FOLDER")
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
    arecord -f S16_LE -r 16000 -c 1 -t raw | earshot listen --input -
    """
    signals = MuteSignal()
    settings = load_settings(ctx)
    if realtime and input_ is None:
        raise BadInput(
            "--realtime works only together with --input: a microphone is always real time"
        )
    mute = _mute(settings)
    source = _source(settings, input_, realtime, mute)
    logs.set_up(settings.log)
    run_role(
        lambda stop: _listen(settings, source, mute, signals, realtime or source.is_live, stop)
    )


def _mute(settings: Settings) -> "Mute":
    from producer.sources.mute import Mute

    return Mute(settings.listen.push_to_talk)


def _source(settings: Settings, input_: str | None, realtime: bool, mute: "Mute") -> "Source":
    frame_ms = settings.listen.frame_ms
    if input_ is None:
        from producer.microphone.microphone import Microphone

        return Microphone(settings.listen.device, frame_ms, mute=mute)
    if input_ == "-":
        from producer.sources.raw_pcm import RawPcmSource

        return RawPcmSource(sys.stdin.buffer, frame_ms, realtime=realtime)
    from producer.sources.audio_file import AudioFileSource

    return AudioFileSource(Path(input_), frame_ms, realtime=realtime)


async def _listen(
    settings: Settings,
    source: "Source",
    mute: "Mute",
    signals: MuteSignal,
    realtime: bool,
    stop: asyncio.Event,
) -> None:
    from ops.cli.terminal.listen_display import ListenDisplay
    from producer.listen import listen
    from producer.microphone.devices import strip_card_number
    from producer.readiness import describe_problem, explain_not_ready
    from producer.shipping.identity import default_session
    from producer.shipping.outbox_folder import open_outbox
    from producer.shipping.outbox_metrics import OutboxCollector
    from producer.sources.mute import MutableSource
    from producer.speech.detector_choice import choose_detector
    from producer.speech.speech_timer import SpeechTimer

    options = settings.listen
    detector = SpeechTimer(choose_detector(options))
    heard = MutableSource(source, mute)
    async with AsyncExitStack() as stack:
        if not await _open_source(heard, stop):
            return
        stack.push(heard)
        name = strip_card_number(source.name) if source.is_live else Path(source.name).stem
        session = check_session_id(options.session or default_session(name))
        outbox = stack.enter_context(open_outbox(options, session))
        traces = stack.enter_context(open_recorder(settings.traces, "listen", session))
        store = await stack.enter_async_context(open_store(settings, traces))
        link = make_link(store, settings)
        listening = ListenDisplay(
            heard, mute, detector, outbox, partial(describe_problem, source, link)
        )
        pages = serve_monitoring(
            settings.metrics,
            ready=partial(explain_not_ready, source, link),
            collectors=[OutboxCollector(outbox)],
        )
        await stack.enter_async_context(pages)
        stack.enter_context(
            listening.show(settings.log, signals, reads_stdin=source.name == "stdin")
        )
        await listen(
            heard,
            detector,
            options,
            outbox,
            store,
            link,
            partial(wait_for_redis, link, store, settings),
            stop,
            session=session,
            realtime=realtime,
            watch=listening.follow,
        )


async def _open_source(source: "Source", stop: asyncio.Event) -> bool:
    """Open the source and return True; False if `stop` is set first (a sound server may hang)."""
    opening = asyncio.create_task(asyncio.to_thread(source.__enter__))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if opening.done():
        opening.result()
        return True
    source.close()
    with suppress(EarshotError):
        await opening
        source.__exit__(None, None, None)
    return False
