"""`earshot stt`: one STT worker."""

import asyncio

import click

from common.redis.opening import open_store
from common.settings import Settings
from common.telemetry.tracing import open_recorder
from ops.cli.options import load_settings_and_logs, log_options, redis_options, setting
from ops.local.signals import exit_without_threads, run_role
from workers.loop.consumer_loop import ConsumerLoop
from workers.loop.registration import consumer_name


@click.command("stt")
@setting("--model", "stt.model", metavar="NAME|FOLDER|demo")
@setting("--device", "stt.device", metavar="auto|cpu|cuda")
@setting("--compute-type", "stt.compute_type", metavar="TYPE")
@setting("--language", "stt.language", metavar="CODE")
@setting("--beam-size", "stt.beam_size", metavar="N")
@redis_options
@log_options
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run one speech-to-text worker: it turns utterances into text.

    Start more workers if the backlog grows (`earshot status`). SIGTERM or Ctrl+C finishes the work
    in hand and stops; a second one stops at once.
    """
    name = consumer_name("stt")
    settings = load_settings_and_logs(ctx, worker=name)
    run_role(lambda stop: _run(settings, name, stop))
    exit_without_threads()


async def _run(settings: Settings, name: str, stop: asyncio.Event) -> None:
    from workers.stt.handler import SttHandler

    with open_recorder(settings.traces, "stt", name) as traces:
        async with open_store(settings, traces) as store:
            handler = SttHandler(store, settings.stt)
            await ConsumerLoop(store, settings, handler, name).run(stop)
