"""`earshot demo`: the whole pipeline on a bundled recording."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import Any, Final

import click

from common.events import Event, Reply, Skipped, Transcript
from common.results.subscriber import Subscriber
from common.settings import LogSettings
from common.settings.loading import load_settings
from common.settings.masking import mask_password
from common.telemetry import logs
from ops.cli.options import verbose_option
from ops.cli.terminal.conversation import Conversation
from ops.demo.recording_file import AUDIO, normalise, read_sentences
from ops.local.embedded_redis import WITHOUT_CREDENTIALS
from ops.local.machine import Machine, chosen_settings, run_machine
from ops.local.process_exit import INTERRUPTED
from ops.local.signals import run_role
from ops.local.supervisor import NotReady, RoleEnded, StopRequested
from ops.queries.tally import Tally

SESSION: Final = "demo"
START_S: Final = 120.0
REST_S: Final = 60.0
"""How long to wait for the last replies. They normally take a second or two."""

LOOK_EVERY_S: Final = 0.1
LAST_LOOKS: Final = 10
"""How often to look again when all turns have ended: events of the last publish may still come."""

LINES_KEPT: Final = 30


@click.command("demo")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print each result as one JSON object per line, then a summary.",
)
@verbose_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, verbose: bool) -> None:
    """Play a bundled recording at the speed of speech through the whole pipeline.

    The demo starts a producer, Redis, two STT workers and one LLM worker of its own. It prints the
    conversation as it happens, with milliseconds since the end of speech. Then it stops.

    It uses a small bundled speech model, which knows only the sentences of the recording, and a
    stand-in for the LLM, which answers with prepared jokes. EARSHOT_STT__MODEL and
    EARSHOT_LLM__BASE_URL replace them.

    The exit status is 0 if every sentence was answered and nothing was lost.
    """
    output = DemoOutput(as_json, verbose)
    logs.set_up(LogSettings(level="warning"))
    run_role(lambda stop: _demo(output, stop))
    ctx.exit(output.status)


class DemoOutput:
    """Prints the conversation or JSON, and the last log lines of the roles if something fails."""

    def __init__(self, as_json: bool, verbose: bool) -> None:
        self._as_json = as_json
        self._verbose = verbose
        self._conversation = Conversation()
        self._log: deque[str] = deque(maxlen=LINES_KEPT)
        self.tally = Tally()
        self.status = 1
        self._answered: set[int] = set()
        self._texts: dict[int, str] = {}

    def print_note(self, text: str) -> None:
        """Print a line about the demo itself."""
        if not self._as_json:
            click.echo(text)

    def add_log_line(self, name: str, line: str) -> None:
        """Keep a log line of a role, and print it with --verbose."""
        self._log.append(f"{name:>8} | {line}")
        if self._verbose:
            click.echo(self._log[-1], err=True)

    def add_event(self, event: Event) -> None:
        """Count an event, and print it."""
        self.tally.add(event)
        match event:
            case Transcript(data=data):
                self._texts[event.turn] = data.text
            case Reply():
                self._answered.add(event.turn)
            case Skipped(data=data) if data.reason == "merged":
                self._answered.add(event.turn)
        if self._as_json:
            click.echo(event.as_line())
            return
        for line in self._conversation.format(event):
            click.echo(line)

    def finish(self) -> None:
        """Print the summary and set the exit status."""
        summary = self.tally.summary()
        heard = [normalise(self._texts[turn]) for turn in self._answered & self._texts.keys()]
        spoken = [normalise(sentence.text) for sentence in read_sentences()]
        exact = sum(sentence in heard for sentence in spoken)
        answered = summary["replies"] + summary["merged"]
        is_good = answered >= len(spoken) and not summary["lost"] and not summary["errors"]
        self.status = 0 if is_good else 1
        if self._as_json:
            click.echo(json.dumps(summary))
            return
        click.echo(
            f"\n{summary['utterances']} utterances heard: {answered} answered"
            f" ({summary['merged']} together with the next one), {summary['skipped']} skipped,"
            f" {summary['errors']} errors, {summary['lost']} lost."
            f" {exact} of {len(spoken)} sentences were transcribed word for word."
        )
        if not is_good:
            self.print_role_lines()

    def print_role_lines(self) -> None:
        """Print the last log lines of the roles, to show what went wrong."""
        if not self._verbose:
            for line in self._log:
                click.echo(line, err=True)


async def _demo(output: DemoOutput, stop: asyncio.Event) -> None:
    settings = load_settings({"redis": WITHOUT_CREDENTIALS})
    chosen = chosen_settings(settings, {})
    values: dict[str, Any] = {
        "shards": 1,
        "stt": {"model": "demo"},
        "listen": {"session": SESSION},
        "log": {"format": "console"},
    }
    stand_in = "llm.base_url" not in chosen
    if "stt.model" in chosen:
        values["stt"] = {"model": settings.stt.model}
    llm = "stand-in with prepared jokes" if stand_in else mask_password(settings.llm.base_url)
    output.print_note(
        "Starting an embedded Redis, 2 STT workers"
        f" (model {values['stt']['model']}), 1 LLM worker ({llm})..."
    )
    try:
        async with run_machine(
            values, stop, output.add_log_line, redis_folder=None, own_redis=True, stand_in=stand_in
        ) as parts:
            await parts.start_workers(stt=2, llm=1)
            await parts.wait_until_ready(START_S)
            await _play(parts, output)
    except StopRequested:
        output.status = INTERRUPTED
    except (RoleEnded, NotReady):
        output.print_role_lines()
        raise


async def _play(parts: Machine, output: DemoOutput) -> None:
    seconds = read_sentences()[-1].end_s
    output.print_note(f"Playing {seconds:.0f} s of speech, at the speed of speech.\n")
    with TemporaryDirectory(prefix="earshot-") as outbox:
        arguments = ["--input", str(AUDIO), "--realtime", "--outbox", outbox]
        await parts.start("listen", "listen", *arguments, restart=False)
        following = asyncio.create_task(_follow(parts, output))
        try:
            end = _wait_for_all_turns(parts.supervisor.wait_for_end("listen"), output.tally)
            await parts.supervisor.wait_for(end, stop=parts.stop)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    output.finish()


async def _follow(parts: Machine, output: DemoOutput) -> None:
    subscriber = Subscriber(parts.store, parts.link, since="0-0", deltas=False)
    async for received in subscriber.events():
        output.add_event(received.event)


async def _wait_for_all_turns(listening: Awaitable[int], tally: Tally) -> None:
    """Wait until the recording was played and every turn has ended."""
    await listening
    with suppress(TimeoutError):
        async with asyncio.timeout(REST_S):
            looks = 0
            while looks < LAST_LOOKS:
                await asyncio.sleep(LOOK_EVERY_S)
                looks = 0 if tally.unfinished else looks + 1
