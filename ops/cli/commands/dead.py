"""`earshot dead`: utterances that failed for good, and replaying them."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from common.entry_id import added_at_ms
from common.errors import BadInput, Refused
from common.redis.opening import open_reachable_store
from common.redis.store import Store
from common.settings import Settings
from ops.cli.options import jobs_options, json_lines_option, load_settings_and_logs, redis_options
from ops.cli.terminal.conversation import to_one_line

# importing it loads NumPy and libsndfile, which --help must not wait for
if TYPE_CHECKING:
    from common.status.dead_letters import DeadLetter

Action = Callable[[Store, "DeadLetter"], Awaitable[str]]


@click.group("dead")
def command() -> None:
    """Look after dead letters: utterances that failed for good.

    A dead letter keeps the whole utterance, its audio included, and the reason. Replay it when the
    cause is gone, or drop it.
    """


@command.command("list")
@json_lines_option
@click.option("--reason", metavar="REASON", help="List only dead letters with this reason.")
@redis_options
@click.pass_context
def list_(ctx: click.Context, as_json: bool, reason: str | None) -> None:
    """List the dead letters, the oldest of each shard first."""
    asyncio.run(_list(load_settings_and_logs(ctx), as_json, reason))


async def _list(settings: Settings, as_json: bool, reason: str | None) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from common.status.dead_letters import list_letters

    # the id stays on one line, because people copy it
    table = Table(
        Column("letter", no_wrap=True),
        "age",
        Column("session", overflow="fold"),
        "turn",
        "stage",
        Column("reason", overflow="fold"),
        Column("error", overflow="fold"),
        box=None,
    )
    count = 0
    async with open_reachable_store(settings) as store:
        async for letter in list_letters(store, reason):
            count += 1
            shown = letter.as_dict()
            if as_json:
                click.echo(json.dumps(shown))
                continue
            age_s = max(0.0, time.time() - added_at_ms(letter.entry) / 1000)
            table.add_row(
                letter.entry,
                f"{age_s / 60:.0f} min",
                *(
                    # as Text, so that markup and terminal commands in it have no effect
                    Text(to_one_line(str(shown.get(name, ""))))
                    for name in ("session", "turn", "stage", "reason", "error")
                ),
            )
    if as_json:
        return
    if count:
        Console().print(table)
    else:
        click.echo("No dead letters.")


@command.command("show")
@click.argument("letter")
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the audio to this WAV file.",
)
@redis_options
@click.pass_context
def show(ctx: click.Context, letter: str, save: Path | None) -> None:
    """Print dead letter LETTER as JSON; --save writes its audio to a file."""
    asyncio.run(_show(load_settings_and_logs(ctx), letter, save))


async def _show(settings: Settings, entry: str, save: Path | None) -> None:
    from common.status.dead_letters import find_dead_letter

    async with open_reachable_store(settings) as store:
        letter = await find_dead_letter(store, entry)
    click.echo(json.dumps(letter.summary(), indent=2))
    if save is not None:
        import soundfile

        from common.audio import SAMPLE_RATE

        samples = letter.samples(round(settings.limits.max_audio_s * SAMPLE_RATE))
        try:
            soundfile.write(save, samples, SAMPLE_RATE, format="WAV")
        except (OSError, soundfile.LibsndfileError) as error:
            raise BadInput(f"{save} cannot be written: {error}") from None
        click.echo(f"Saved {len(samples) / SAMPLE_RATE:.1f} s to {save}.", err=True)


@command.command("replay")
@click.argument("letters", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Take all dead letters instead of LETTERS.")
@click.option("--reason", metavar="REASON", help="With --all: take only those with this reason.")
@click.option(
    "--job",
    is_flag=True,
    help="With --all: let `earshot jobs` do it, which waits while the backlog is full.",
)
@jobs_options
@click.pass_context
def replay_(
    ctx: click.Context, letters: Sequence[str], everything: bool, reason: str | None, job: bool
) -> None:
    """Send dead letters again, each as a new turn at the end of its session.

    If the backlog is full, the command prints which letters it could not replay. With --job it
    waits instead.
    """
    settings = load_settings_and_logs(ctx)
    if job:
        if not everything:
            raise BadInput("--job works only together with --all")
        ctx.exit(_replay_by_job(settings, reason))
    from ops.queries.dead_letters import replay_letter

    failed = asyncio.run(_act_on_each(settings, letters, everything, reason, replay_letter))
    ctx.exit(1 if failed else 0)


def _replay_by_job(settings: Settings, reason: str | None) -> int:
    from ops.cli.jobs.job_request import request_and_wait

    job = request_and_wait(settings, "replay", "dead letters", [reason], {"reason": reason})
    for left in job.result.get("left", []):
        click.echo(f"{left['letter']}: {left['why']}", err=True)
    if job.done:
        click.echo(f"{job.result['replayed']} replayed")
    return 0 if job.done and not job.result.get("left") else 1


@command.command("drop")
@click.argument("letters", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Take all dead letters instead of LETTERS.")
@click.option("--reason", metavar="REASON", help="With --all: take only those with this reason.")
@redis_options
@click.pass_context
def drop_(ctx: click.Context, letters: Sequence[str], everything: bool, reason: str | None) -> None:
    """Delete dead letters for good."""
    from ops.queries.dead_letters import drop_letter

    failed = asyncio.run(
        _act_on_each(load_settings_and_logs(ctx), letters, everything, reason, drop_letter)
    )
    ctx.exit(1 if failed else 0)


async def _act_on_each(
    settings: Settings, entries: Sequence[str], everything: bool, reason: str | None, act: Action
) -> int:
    """Act on each named letter; return how many failed."""
    if everything == bool(entries):
        raise BadInput("name the dead letters, or use --all (with --reason to take only some)")
    if reason is not None and not everything:
        raise BadInput("--reason works only together with --all")
    from common.status.dead_letters import find_dead_letter, list_letters

    failed = 0
    async with open_reachable_store(settings) as store:
        if everything:
            letters = [letter.entry async for letter in list_letters(store, reason)]
        else:
            letters = list(entries)
        for entry in letters:
            try:
                click.echo(f"{entry}: {await act(store, await find_dead_letter(store, entry))}")
            except (BadInput, Refused) as error:
                click.echo(f"{entry}: {error}", err=True)
                failed += 1
    if everything and not letters:
        click.echo("No dead letters.")
    return failed
