"""Command line over environment over named files over `earshot.toml` over defaults; what is wrong
stops the start with one sentence that names the variable; secrets are never shown."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from common.errors import BadSetting
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
from tests.support.environments import clear_environment


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clear_environment(monkeypatch, tmp_path)


def _origins(overrides: dict[str, Any] | None = None) -> dict[str, tuple[Any, str]]:
    given = overrides or {}
    return {
        origin.name: (origin.value, origin.origin)
        for origin in list_origins(load_settings(given), given)
    }


def _refusal(overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(BadSetting) as refused:
        load_settings(overrides)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert len(sentence) < 400
    return sentence


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


# -- what is wrong


@pytest.mark.parametrize(
    ("variable", "suggested"),
    [
        ("EARSHOT_SHARD", "EARSHOT_SHARDS"),
        ("EARSHOT_REDIS_URL", "EARSHOT_REDIS__URL"),
        ("EARSHOT_REDDIS__URL", "EARSHOT_REDIS__URL"),
        ("EARSHOT_REDIS__URLL", "EARSHOT_REDIS__URL"),
        ("EARSHOT_LLM__BASEURL", "EARSHOT_LLM__BASE_URL"),
        ("EARSHOT_LLM__API_KEY_FIEL", "EARSHOT_LLM__API_KEY"),
        ("EARSHOT_NOTHING_LIKE_IT", "docs/configuration.md"),
        ("EARSHOT_NOTHING__LIKE_IT", "docs/configuration.md"),
        ("EARSHOT_LLM_FILE", "docs/configuration.md"),
    ],
)
def test_a_misspelt_variable_is_refused(
    variable: str, suggested: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "hunter2")
    sentence = _refusal()
    assert variable in sentence
    assert suggested in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    "variable",
    [
        "EARSHOT_SERVICE_HOST",
        "EARSHOT_REDIS_SERVICE_PORT_REDIS",
        "EARSHOT_REDIS_PORT",
        "EARSHOT_REDIS_PORT_6379_TCP_ADDR",
        "EARSHOT_STANDIN_API_KEY",
    ],
)
def test_what_others_put_beside_the_settings_does_no_harm(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "tcp://10.0.0.1:6379")
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("EARSHOT_SHARDS", "many", "whole number|integer"),
        ("EARSHOT_SHARDS", "", "integer"),
        ("EARSHOT_REDIS__URL", "", "at least 1 character"),
        ("EARSHOT_LISTEN__SILENCE_S", "-1", "greater than 0"),
        ("EARSHOT_LISTEN__FRAME_MS", "25", "10, 20 or 30"),
        ("EARSHOT_LISTEN__PRESET", "shout", "'command', 'conversation' or 'dictation'"),
        ("EARSHOT_LIMITS__DELTAS", "maybe", "boolean"),
        ("EARSHOT_LLM__ROUNDS", "9999", "less than or equal to 1000"),
        ("EARSHOT_LOG__LEVEL", "loud", "'debug'"),
    ],
)
def test_a_bad_value_gives_one_sentence_that_names_the_variable(
    variable: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSetting, match=why) as refused:
        load_settings()
    assert variable in str(refused.value)
    assert repr(value) in str(refused.value)


def test_the_command_line_is_checked_in_the_same_words() -> None:
    sentence = _refusal({"llm": {"rounds": "-1"}})
    assert "llm.rounds (EARSHOT_LLM__ROUNDS) cannot be '-1'" in sentence


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[redis\n", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[redis]\nurll = 'x'\n", "there is no setting redis.urll"),
        (b"[reddis]\nurl = 'x'\n", "there is no setting reddis"),
        (b"redis = 'x'\n", "redis .EARSHOT_REDIS. is a section"),
        (b"[llm]\nrounds = 'five'\n", r"llm.rounds .EARSHOT_LLM__ROUNDS. cannot be 'five'"),
    ],
)
def test_a_bad_file_gives_one_sentence(content: bytes, why: str) -> None:
    Path("earshot.toml").write_bytes(content)
    with pytest.raises(BadSetting, match=why):
        load_settings()
    _refusal()


def test_a_section_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_REDIS", "redis://:hunter2@h")
    sentence = _refusal()
    assert "EARSHOT_REDIS is a section" in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"limits": {"seen_ttl_s": 60}}, "EARSHOT_LIMITS__SEEN_TTL_S"),
        ({"listen": {"outbox_max_age_s": 30 * 86_400}}, "EARSHOT_LISTEN__OUTBOX_MAX_AGE_S"),
        ({"listen": {"max_utterance_s": 200}}, "EARSHOT_LIMITS__MAX_AUDIO_S"),
        (
            {"listen": {"max_utterance_s": 200}, "limits": {"max_audio_s": 300}},
            "EARSHOT_LIMITS__MAX_ENTRY_BYTES",
        ),
        ({"llm": {"min_tokens": 300}}, "EARSHOT_LLM__MAX_TOKENS"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    values: dict[str, Any], named: str
) -> None:
    assert named in _refusal(values)


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


@pytest.mark.parametrize(
    "content",
    [
        "[llm]\napi_key = 12345678\n",
        "[redis]\npassword = [12345678]\n",
        "[llm]\nbase_url = 'ftp://me:12345678@h'\n",
        "redis = 'redis://:12345678@h'\n",
    ],
)
def test_no_error_shows_a_secret(content: str) -> None:
    Path("earshot.toml").write_text(content)
    assert "12345678" not in _refusal()


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
