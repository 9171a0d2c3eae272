"""A wrong setting stops the start with one sentence that names the variable and shows no secret."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import BadSetting
from common.settings import Settings
from common.settings.loading import load_settings


def _refusal(overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(BadSetting) as refused:
        load_settings(overrides)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert len(sentence) < 400
    return sentence


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
        ("EARSHOT_LLM_FILE", "EARSHOT_LLM__CA_FILE"),
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
