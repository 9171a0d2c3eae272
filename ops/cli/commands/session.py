"""`earshot session`: conversations, what earshot remembers of them, and their personas."""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from common.errors import BadEntry, BadInput, Refused
from common.keys import check_session_id
from common.redis.opening import open_reachable_store
from common.settings import Settings
from common.transitions.personas import set_hotwords, set_persona
from common.transitions.tending import forget
from common.utterance import NAME
from ops.cli.options import json_lines_option, json_option, load_settings_and_logs, redis_options
from ops.cli.terminal.conversation import to_one_line

# importing it takes time, and --help must not wait for it
if TYPE_CHECKING:
    from common.status.sessions import Session, SessionContents

MAX_NAME: Final = 64
MAX_HOTWORDS: Final = 10_000


@click.group("session")
def command() -> None:
    """List, show or forget conversations; choose who answers and which words are expected."""


@command.command("list")
@json_lines_option
@redis_options
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the conversations, the newest first."""
    asyncio.run(_list(load_settings_and_logs(ctx), as_json))


async def _list(settings: Settings, as_json: bool) -> None:
    from dataclasses import asdict

    from common.status.sessions import list_sessions

    async with open_reachable_store(settings) as store:
        found = [session async for session in list_sessions(store)]
    found.sort(key=lambda session: (-session.epoch, session.session))
    if as_json:
        for session in found:
            click.echo(json.dumps(asdict(session)))
    elif found:
        _print(found)
    else:
        click.echo("No sessions.")


def _print(found: Sequence["Session"]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(
        Column("session", overflow="fold"),
        "began",
        "turns",
        "unanswered",
        "remembers",
        Column("persona", overflow="fold"),
        "forgotten",
        box=None,
        pad_edge=False,
    )
    for session in found:
        cells = (
            session.session,
            f"{_format_duration(session.began_s)} ago",
            session.turns,
            session.unanswered,
            f"{session.rounds} rounds",
            session.persona,
            _describe_expiry(session),
        )
        # as Text, so that square brackets in a name are no markup
        table.add_row(*(Text(to_one_line(str(cell))) for cell in cells))
    Console().print(table)


@command.command("show")
@click.argument("session")
@json_option
@redis_options
@click.pass_context
def show(ctx: click.Context, session: str, as_json: bool) -> None:
    """Show what earshot remembers of SESSION, and its unfinished turns."""
    asyncio.run(_show(load_settings_and_logs(ctx), session, as_json))


async def _show(settings: Settings, name: str, as_json: bool) -> None:
    from common.status.sessions import read_session

    async with open_reachable_store(settings) as store:
        found = await read_session(store, name)
    if as_json:
        click.echo(json.dumps(found.as_dict()))
        return
    for line in _format_contents(found):
        click.echo(line)


def _format_contents(found: "SessionContents") -> list[str]:
    session = found.session
    kept = session.expires_in_s is None
    end = "kept until it is answered" if kept else f"forgotten {_describe_expiry(session)}"
    label = {"user": "User", "assistant": "AI  "}
    return [
        f"Session {session.session}, begun {_format_duration(session.began_s)} ago:"
        f" {session.turns} turns, {session.unanswered} unanswered; {end}.",
        f"Persona: {to_one_line(session.persona) or 'as the producer asks, or the default'}",
        *([f"Language: {to_one_line(session.language)}"] if session.language else ()),
        *([f"Hotwords: {to_one_line(session.hotwords)}"] if session.hotwords else ()),
        *(
            f"{label.get(message['role'], message['role'])}: {to_one_line(message['content'])}"
            for message in found.history
        ),
        *(
            f"Turn {turn.turn} {turn.state}{': ' if turn.text else ''}{to_one_line(turn.text)}"
            for turn in found.open
        ),
    ]


@command.command("set")
@click.argument("session")
@click.option(
    "--persona",
    metavar="NAME",
    help="Who answers. It overrides the choice of the producers. With an empty name, their choice"
    " holds again.",
)
@click.option(
    "--hotwords",
    metavar="WORDS",
    help="Names and rare words that may be said, separated by commas, beside those of the persona"
    " and of EARSHOT_STT__HOTWORDS. An empty text takes them back.",
)
@redis_options
@click.pass_context
def set_(ctx: click.Context, session: str, persona: str | None, hotwords: str | None) -> None:
    """Choose the persona that answers in SESSION, and words that may be said in it.

    SESSION may begin later. The choices last as long as the session.
    """
    settings = load_settings_and_logs(ctx)
    check_session_id(session)
    if persona is None and hotwords is None:
        raise BadInput("choose something: --persona or --hotwords")
    if persona is not None and (len(persona) > MAX_NAME or not re.search(NAME, persona)):
        raise BadInput(
            f"a persona's name has at most {MAX_NAME} characters and no control characters"
        )
    if hotwords is not None and (len(hotwords) > MAX_HOTWORDS or not re.search(NAME, hotwords)):
        raise BadInput(f"hotwords have at most {MAX_HOTWORDS} characters and no control characters")
    asyncio.run(_set(settings, session, persona, hotwords))
    if persona is not None:
        click.echo(
            f"{session}: {persona or 'the persona of the producer'} answers from the next turn on"
        )
    if hotwords is not None:
        click.echo(
            f"{session}: STT expects {hotwords or 'no words of its own'} from the next utterance on"
        )


async def _set(settings: Settings, session: str, persona: str | None, hotwords: str | None) -> None:
    async with open_reachable_store(settings) as store:
        if persona is not None:
            _warn_if_unknown(settings, persona)
            await set_persona(store, session, persona)
        if hotwords is not None:
            await set_hotwords(store, session, hotwords)


def _warn_if_unknown(settings: Settings, persona: str) -> None:
    from workers.llm.persona import Personas

    personas = Personas(settings.llm)
    if persona and not personas.has(persona):
        click.echo(
            f"earshot: this host has no persona {persona!r}, only {', '.join(personas.names)}."
            " A worker without it answers as its default persona.",
            err=True,
        )


@command.command("forget")
@click.argument("names", metavar="SESSION...", nargs=-1, required=True)
@redis_options
@click.pass_context
def forget_(ctx: click.Context, names: Sequence[str]) -> None:
    """Delete what earshot remembers of each SESSION.

    Unfinished turns end as skipped. Results stay until they expire, dead letters
    until somebody drops them.
    """
    ctx.exit(1 if asyncio.run(_forget(load_settings_and_logs(ctx), names)) else 0)


async def _forget(settings: Settings, names: Sequence[str]) -> int:
    """Forget each session; return how many failed."""
    from common.status.sessions import read_session

    failed = 0
    async with open_reachable_store(settings) as store:
        for name in names:
            try:
                await read_session(store, name)
                ended = await forget(store, name)
                click.echo(f"{name}: forgotten, {ended} unfinished turns ended as skipped")
            except (BadEntry, BadInput, Refused) as error:
                click.echo(f"{name}: {error}", err=True)
                failed += 1
    return failed


def _format_duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def _describe_expiry(session: "Session") -> str:
    if session.expires_in_s is None:
        return "when it is answered"
    return f"in {_format_duration(session.expires_in_s)} if nothing is said"
