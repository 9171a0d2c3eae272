"""The fields of one's own for LLM requests are a JSON object, in the environment and in a file."""

import json
from pathlib import Path

import pytest

from common.errors import BadSetting
from common.settings.loading import list_origins, load_settings, settings_as_environment

VALUE = {"chat_template_kwargs": {"enable_thinking": False}}
VARIABLE = "EARSHOT_LLM__EXTRA_BODY"


def test_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps(VALUE))
    settings = load_settings()
    assert json.loads(settings.llm.extra_body) == VALUE
    monkeypatch.setenv(VARIABLE, settings_as_environment(settings)[VARIABLE])
    assert load_settings() == settings
    monkeypatch.setenv(VARIABLE, " ")
    assert load_settings().llm.extra_body == ""


def test_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("earshot.toml").write_text(
        "[llm.extra_body.chat_template_kwargs]\nenable_thinking = false\n", encoding="utf-8"
    )
    settings = load_settings()
    assert json.loads(settings.llm.extra_body) == VALUE
    origins = {one.name: one.origin for one in list_origins(settings, {})}
    assert origins["llm.extra_body"] == "earshot.toml"


@pytest.mark.parametrize("value", ["[1]", "5", '"a"', "{", "null", "top_k=3", "{'a': 1}"])
def test_anything_else_is_refused_with_a_sentence(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(BadSetting, match=f"{VARIABLE}.*is no JSON object") as raised:
        load_settings()
    assert "\n" not in str(raised.value)
