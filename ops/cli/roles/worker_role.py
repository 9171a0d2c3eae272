"""Running one worker: the part that `earshot stt` and `earshot llm` share."""

import asyncio
from collections.abc import Callable

import click

from common.redis.opening import open_store
from common.redis.store import Store
from common.settings import Settings
from common.telemetry.tracing import Recorder, open_recorder
from ops.cli.options import load_settings_and_logs
from ops.local.signals import run_role
from workers.loop.consumer_loop import ConsumerLoop
from workers.loop.handler import Handler
from workers.loop.registration import consumer_name

MakeHandler = Callable[[Store, Settings, Recorder], Handler]


def run_worker(ctx: click.Context, role: str, make_handler: MakeHandler) -> None:
    """Run a worker until it is stopped. Raises what ConsumerLoop.run raises."""
    name = consumer_name(role)
    settings = load_settings_and_logs(ctx, worker=name)

    async def work(stop: asyncio.Event) -> None:
        with open_recorder(settings.traces, role, name) as traces:
            async with open_store(settings, traces) as store:
                handler = make_handler(store, settings, traces)
                await ConsumerLoop(store, settings, handler, name).run(stop)

    run_role(work)
