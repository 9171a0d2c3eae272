"""An option that stands for a setting overrides all other sources and has the setting's own
help."""

from pathlib import Path

import click
import pytest

from ops.cli.options import load_settings, overrides, setting
from tests.support.environments import clear_environment


def test_options_that_stand_for_settings_go_over_all_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clear_environment(monkeypatch, tmp_path)
    monkeypatch.setenv("EARSHOT_LLM__ROUNDS", "1")

    @click.command()
    @setting("--rounds", "llm.rounds")
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
