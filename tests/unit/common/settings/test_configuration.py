"""Options override environment variables, which override named files, which override
`earshot.toml`; secrets are masked; a child process gets the same settings."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from common.settings import (
    LimitSettings,
    ListenSettings,
    LlmSettings,
    LogSettings,
    RedisSettings,
    Settings,
)
from common.settings import loading as configuration
from common.settings.loading import (
    environment_without_settings,
    list_origins,
    list_settings,
    load_settings,
    settings_as_environment,
    variable_of,
)
from common.settings.masking import MASK


def _origins(overrides: dict[str, Any] | None = None) -> dict[str, tuple[Any, str]]:
    given = overrides or {}
    return {
        origin.name: (origin.value, origin.origin)
        for origin in list_origins(load_settings(given), given)
    }


# -- precedence


def test_each_source_goes_over_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert _origins()["listen.persona"] == ("", "default")

    Path("earshot.toml").write_text('[listen]\npersona = "toml"\n')
    assert _origins()["listen.persona"] == ("toml", "earshot.toml")

    named = tmp_path / "persona"
    named.write_text("file\n")
    monkeypatch.setenv("EARSHOT_LISTEN__PERSONA_FILE", str(named))
    assert _origins()["listen.persona"] == ("file", "EARSHOT_LISTEN__PERSONA_FILE")

    monkeypatch.setenv("EARSHOT_LISTEN__PERSONA", "")
    assert _origins()["listen.persona"] == ("file", "EARSHOT_LISTEN__PERSONA_FILE")

    monkeypatch.setenv("EARSHOT_LISTEN__PERSONA", "environment")
    assert _origins()["listen.persona"] == ("environment", "EARSHOT_LISTEN__PERSONA")

    overrides = {"listen": {"persona": "command line"}}
    assert _origins(overrides)["listen.persona"] == ("command line", "command line")


def test_sources_mix_inside_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("earshot.toml").write_text("[llm]\nrounds = 3\ntemperature = 0.1\n")
    monkeypatch.setenv("EARSHOT_LLM__ROUNDS", "4")
    llm = load_settings({"llm": {"model": "m"}}).llm
    assert (llm.rounds, llm.temperature, llm.model, llm.max_tokens) == (4, 0.1, "m", 256)


def test_the_top_level_has_no_section(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("earshot.toml").write_text("shards = 2\n")
    assert load_settings().shards == 2
    monkeypatch.setenv("EARSHOT_SHARDS", "3")
    assert _origins()["shards"] == (3, "EARSHOT_SHARDS")


def test_a_variable_may_be_written_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("earshot_redis__url", "redis://small")
    assert load_settings().redis.url == "redis://small"


def test_the_working_directory_has_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path("earshot.toml").write_text("shards = 2\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load_settings().shards == 1


def test_every_setting_is_listed_once_in_the_order_of_the_tree() -> None:
    listed = [origin.name for origin in list_origins(load_settings(), {})]
    assert listed == list_settings()
    assert len(listed) == len(set(listed))
    assert listed[0] == "shards"
    assert listed.index("redis.url") < listed.index("llm.model") < listed.index("log.level")


# -- secrets


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"redis": {"password": "hunter2"}}, ("redis.password", MASK)),
        ({"llm": {"api_key": "hunter2"}}, ("llm.api_key", MASK)),
        (
            {"redis": {"url": "redis://me:hunter2@h:1/0"}},
            ("redis.url", f"redis://me:{MASK}@h:1/0"),
        ),
        (
            {"redis": {"url": "unix:///run/r.sock?password=hunter2&db=1"}},
            ("redis.url", f"unix:///run/r.sock?password={MASK}&db=1"),
        ),
        (
            {"llm": {"base_url": "https://me:hunter2@h/v1"}},
            ("llm.base_url", f"https://me:{MASK}@h/v1"),
        ),
    ],
)
def test_secrets_are_masked(values: dict[str, Any], shown: tuple[str, str]) -> None:
    name, masked = shown
    assert _origins(values)[name][0] == masked
    assert "hunter2" not in repr(_origins(values))


def test_an_unset_secret_is_shown_as_unset() -> None:
    assert _origins()["redis.password"] == ("", "default")


# -- children


def _unusual() -> Settings:
    return Settings(
        shards=6,
        redis=RedisSettings(url="redis://u:p@h:1/2", password=SecretStr("hunter2")),
        limits=LimitSettings(deltas=False, session_ttl_s=12.5),
        llm=LlmSettings(system_prompt="Be brief.\nSay 'ja' = \"yes\", $HOME.", temperature=0),
        listen=ListenSettings(silence_s=0.25, frame_ms=10, codec="pcm_s16le", persona="näme"),
        log=LogSettings(level="debug"),
    )


@pytest.mark.parametrize("settings", [Settings(), _unusual()], ids=["defaults", "unusual"])
def test_a_child_process_gets_the_same_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings_as_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_a_child_process_takes_no_other_value_from_the_same_toml(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("earshot.toml").write_text("shards = 5\n[llm]\nrounds = 9\n")
    settings = load_settings(
        {"shards": 1, "llm": {"rounds": 5}}
    )  # the command line says the defaults
    for name, value in settings_as_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_a_child_process_inherits_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_SHARDS", "2")
    monkeypatch.setenv("earshot_redis__url", "redis://x")
    monkeypatch.setenv("SOMETHING_ELSE", "kept")
    kept = environment_without_settings()
    assert kept["SOMETHING_ELSE"] == "kept"
    assert not [name for name in kept if name.upper().startswith("EARSHOT_")]


def test_variables_are_named_after_their_place() -> None:
    assert variable_of("redis.url") == "EARSHOT_REDIS__URL"
    assert variable_of("shards") == "EARSHOT_SHARDS"
    fixed = {
        "EARSHOT_REDIS__URL",
        "EARSHOT_LLM__BASE_URL",
        "EARSHOT_LLM__MODEL",
        "EARSHOT_LLM__API_KEY",
        "EARSHOT_STT__MODEL",
        "EARSHOT_STT__DEVICE",
        "EARSHOT_STT__COMPUTE_TYPE",
        "EARSHOT_SHARDS",
    }
    assert fixed <= {variable_of(name) for name in configuration.list_settings()}
