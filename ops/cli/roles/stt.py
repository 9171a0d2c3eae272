"""`earshot stt`: one STT worker."""

import click

from common.redis.store import Store
from common.settings import Settings
from common.telemetry.tracing import Recorder
from ops.cli.options import log_options, redis_options, setting
from ops.cli.roles.worker_role import run_worker
from ops.local.signals import exit_without_threads
from workers.loop.handler import Handler


@click.command("stt")
@setting("--model", "stt.model")
@setting("--device", "stt.device")
@setting("--compute-type", "stt.compute_type")
@setting("--language", "stt.language")
@setting("--beam-size", "stt.beam_size")
@redis_options
@log_options
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run one speech-to-text worker: it turns utterances into text.

    Start more workers if the backlog grows (`earshot status`). SIGTERM or Ctrl+C finishes the work
    in hand and stops; a second one stops at once.
    """
    run_worker(ctx, "stt", _make_handler)
    exit_without_threads()


def _make_handler(store: Store, settings: Settings, _traces: Recorder) -> Handler:
    from workers.llm.persona import Personas
    from workers.stt.handler import SttHandler

    personas = Personas(settings.llm)
    return SttHandler(
        store, settings.stt, persona_hotwords=lambda name: personas.get(name).hotwords
    )
