"""One worker process of a chaos run: the real loop and handlers, which certain utterances kill.

`python -m ops.bench.chaos.worker stt|llm` starts one with the settings of the environment.
"""

import asyncio
import os
from typing import Final

import click

from common.redis.opening import open_store
from common.settings import Settings
from common.settings.loading import load_settings
from common.telemetry import logs
from common.transitions.answering import Attempt
from common.transitions.claims import Settled
from ops.bench.chaos.plan import DEADLY_WORD
from ops.bench.chaos.speech import POISONED, make_engine
from ops.local.signals import exit_without_threads, run_role
from workers.llm.handler import LlmHandler
from workers.loop.consumer_loop import ConsumerLoop
from workers.loop.handler import Delivery, Handler, HandlerContext
from workers.loop.registration import consumer_name
from workers.stt.handler import SttHandler

ROLES: Final = ("stt", "llm")


class MortalLlmHandler(LlmHandler):
    """A handler whose process dies of questions with DEADLY_WORD."""

    async def _answer(
        self, delivery: Delivery, context: HandlerContext, attempt: Attempt, *, may_grow: bool
    ) -> Settled:
        if any(DEADLY_WORD in turn.text for turn in attempt.turns):
            os._exit(POISONED)
        return await super()._answer(delivery, context, attempt, may_grow=may_grow)


def run_worker(role: str, settings: Settings, slow_s: float = 0.0) -> None:
    """Work until SIGTERM. The instant STT engine takes `slow_s` seconds for an utterance."""
    name = consumer_name(role)
    logs.set_up(settings.log, worker=name)

    async def run(stop: asyncio.Event) -> None:
        async with open_store(settings) as store:
            handler: Handler
            if role == "stt":
                handler = SttHandler(
                    store, settings.stt, load=lambda stt: make_engine(stt, slow_s=slow_s)
                )
            else:
                handler = MortalLlmHandler(store, settings.llm)
            await ConsumerLoop(store, settings, handler, name).run(stop)

    run_role(run)


@click.command()
@click.argument("role", type=click.Choice(ROLES))
@click.option("--slow-s", default=0.0, help="How long the instant engine takes (s).")
def main(role: str, slow_s: float) -> None:
    """Run one worker. EARSHOT_STT__MODEL=instant reads the numbers in the audio of chaos runs."""
    run_worker(role, load_settings(), slow_s)
    exit_without_threads()


if __name__ == "__main__":
    main(prog_name="python -m ops.bench.chaos.worker")
