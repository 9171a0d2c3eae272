"""The `earshot` command."""

import errno
import importlib
import sys
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import click

from common.errors import BadEntry, BadInput, BadSetting, EarshotError
from common.extras import how_to_install
from common.telemetry.logs import redirect_to_null
from ops.cli.terminal.harmless_output import make_terminals_harmless
from ops.local.closed_output import is_closed
from ops.local.process_exit import INTERRUPTED


class Command(NamedTuple):
    """A subcommand: its module, imported only when it runs, and its line in `earshot --help`."""

    module: str
    summary: str


COMMANDS: Final = {
    "listen": Command(
        "ops.cli.roles.listen", "Listen to a microphone, a file or a pipe and send utterances."
    ),
    "stt": Command("ops.cli.roles.stt", "Run one speech-to-text worker."),
    "llm": Command("ops.cli.roles.llm", "Run one LLM worker."),
    "say": Command("ops.cli.commands.say", "Send text instead of speech."),
    "tail": Command("ops.cli.commands.tail", "Show transcripts and replies as they happen."),
    "status": Command(
        "ops.cli.commands.status", "Show the backlog, the workers and the number of dead letters."
    ),
    "session": Command(
        "ops.cli.commands.session", "List, show or forget conversations; choose a persona."
    ),
    "health": Command("ops.cli.commands.health", "Ask a process on this machine whether it works."),
    "dead": Command(
        "ops.cli.commands.dead", "List, show, replay or drop utterances that failed for good."
    ),
    "transcribe": Command("ops.cli.commands.transcribe", "Transcribe recordings of any length."),
    "export": Command(
        "ops.cli.commands.export", "Print the results of the last hours, or write them to a file."
    ),
    "summary": Command("ops.cli.commands.summary", "Summarise a conversation."),
    "jobs": Command("ops.cli.roles.jobs", "Run background jobs: recordings, exports, summaries."),
    "dashboard": Command("ops.cli.roles.dashboard", "Serve the web page."),
    "up": Command("ops.cli.roles.up", "Run everything on this machine."),
    "demo": Command("ops.cli.roles.demo", "Play a bundled recording through the whole pipeline."),
    "devices": Command(
        "ops.cli.commands.devices", "List the microphones and show how loud they are."
    ),
    "config": Command(
        "ops.cli.commands.config", "Print every setting and where its value came from."
    ),
    "bench": Command(
        "ops.bench.commands.bench", "Measure earshot on this machine (only in a clone)."
    ),
}

NO_BENCHMARKS: Final = (
    "this earshot was installed without its benchmarks: clone the repository, and run `make setup`"
    " and then `earshot bench` there"
)

DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name == "bench" and find_spec("ops.bench") is None:
            raise click.ClickException(NO_BENCHMARKS)
        command: click.Command = importlib.import_module(COMMANDS[cmd_name].module).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            if not is_closed(sys.stdout.fileno()):
                raise  # a bug: it was another pipe
            # the program behind the pipe has ended, as `head` does
            redirect_to_null(sys.stdout.fileno())
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in COMMANDS.items()])


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="earshot")
def cli() -> None:
    """Self-hosted voice to LLM that does not lose a word.

    Start with `earshot demo`: it needs no microphone, no model and no server. Then try
    `earshot up`, which runs everything on this machine.

    Options override environment variables (EARSHOT_...), which override earshot.toml in the
    working directory. `earshot config` prints all settings.
    """


def main() -> None:
    """Run a command. An error that earshot can explain is printed as one sentence."""
    make_terminals_harmless()
    try:
        status: Any = cli.main(prog_name="earshot", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except (BadSetting, BadInput, BadEntry) as error:
        click.echo(f"earshot: {error}", err=True)
        sys.exit(2)
    except EarshotError as error:
        click.echo(f"earshot: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if (sentence := how_to_install(error)) is None:
            raise
        click.echo(f"earshot: {sentence}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        redirect_to_null(sys.stdout.fileno())
        file = error.filename or "the output"
        click.echo(f"earshot: {file} cannot be written: {error.strerror}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
