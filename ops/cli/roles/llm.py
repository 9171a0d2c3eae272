"""`earshot llm`: one LLM worker."""

import click

from common.redis.store import Store
from common.settings import Settings
from common.telemetry.tracing import Recorder
from ops.cli.options import log_options, redis_options, setting
from ops.cli.roles.worker_role import run_worker
from workers.loop.handler import Handler


@click.command("llm")
@setting("--base-url", "llm.base_url")
@setting("--model", "llm.model")
@setting("--persona", "llm.persona")
@setting("--system-prompt", "llm.system_prompt")
@setting("--rounds", "llm.rounds")
@setting("--concurrency", "llm.concurrency")
@redis_options
@log_options
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run one LLM worker: it asks the LLM server and streams the replies.

    One worker answers up to --concurrency conversations at once. SIGTERM or Ctrl+C finishes the
    work in hand and stops; a second one stops at once.
    """
    run_worker(ctx, "llm", _make_handler)


def _make_handler(store: Store, settings: Settings, traces: Recorder) -> Handler:
    from workers.llm.handler import LlmHandler

    return LlmHandler(store, settings.llm, traces=traces)
