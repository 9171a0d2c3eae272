"""`earshot config` shows each setting with its source, and no secret."""

import json
from pathlib import Path

import pytest

from common.settings.loading import list_settings
from common.settings.masking import MASK
from tests.support.command_line import InProcessCommand


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
