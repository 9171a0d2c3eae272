"""`docs/configuration.md` is what the settings say: generated, complete, true in its examples."""

import re
import tomllib
from pathlib import Path

import pytest

from common.settings.loading import list_settings, load_settings, variable_of
from ops.docs.configuration import PATH, render
from tests.support.environments import clear_environment


def test_the_committed_page_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == render(), (
        "run: .venv/bin/python -m ops.docs.configuration"
    )


def test_every_setting_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.*)$", render(), re.MULTILINE)
    assert [variable for _, variable, _ in rows] == [variable_of(name) for name in list_settings()]


def test_the_example_can_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clear_environment(monkeypatch, tmp_path)
    example = re.search(r"```toml\n(.*?)```", render(), re.DOTALL)
    assert example is not None
    Path("earshot.toml").write_text(example[1])
    settings = load_settings()
    written = tomllib.loads(example[1])
    assert settings.redis.url == written["redis"]["url"]
    assert settings.listen.preset == written["listen"]["preset"]


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("EARSHOT_SHARDS", "whole number, at least 1 and at most 16384 | `1`"),
        ("EARSHOT_LLM__API_KEY", "secret text |  |"),
        ("EARSHOT_LISTEN__SILENCE_S", "number, above 0 |  |"),
        ("EARSHOT_LIMITS__DELTAS", "`true`, `false` | `true`"),
        ("EARSHOT_LISTEN__PRESET", "`command`, `conversation`, `dictation` | `conversation`"),
    ],
)
def test_values_and_defaults_are_in_words(variable: str, said: str) -> None:
    row = next(line for line in render().splitlines() if f"`{variable}`" in line and "|" in line)
    assert said in row
