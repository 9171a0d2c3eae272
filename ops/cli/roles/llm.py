"""`earshot llm`: one LLM worker."""

import asyncio

import click

from common.redis.opening import open_store
from common.settings import Settings
from common.telemetry.tracing import open_recorder
from ops.cli.options import load_settings_and_logs, log_options, redis_options, setting
from ops.local.signals import run_role
from workers.loop.consumer_loop import ConsumerLoop
from workers.loop.registration import consumer_name


@click.command("llm")
@setting("--base-url", "llm.base_url", metavar="URL")
@setting("--model", "llm.model", metavar="NAME")
@setting("--persona", "llm.persona", metavar="NAME|FILE")
@setting("--system-prompt", "llm.system_prompt", metavar="TEXT")
@setting("--rounds", "llm.rounds", metavar="N")
@setting("--concurrency", "llm.concurrency", metavar="N")
@redis_options
@log_options
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run one LLM worker: it asks the LLM server and streams the replies.

    One worker answers up to --concurrency conversations at once. SIGTERM or Ctrl+C finishes the
    work in hand and stops; a second one stops at once.
    """
    name = consumer_name("llm")
    settings = load_settings_and_logs(ctx, worker=name)
    run_role(lambda stop: _run(settings, name, stop))


async def _run(settings: Settings, name: str, stop: asyncio.Event) -> None:
    from workers.llm.handler import LlmHandler

    with open_recorder(settings.traces, "llm", name) as traces:
        async with open_store(settings, traces) as store:
            handler = LlmHandler(store, settings.llm, traces=traces)
            await ConsumerLoop(store, settings, handler, name).run(stop)
