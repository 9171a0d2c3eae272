"""The settings tree: frozen, every tunable explained, no number that Redis or Lua cannot hold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from common.redis.store import ms
from common.settings import (
    DashboardSettings,
    JobSettings,
    LimitSettings,
    ListenSettings,
    LlmSettings,
    LogSettings,
    MetricsSettings,
    RedisSettings,
    Settings,
    SttSettings,
    TraceSettings,
    WorkerSettings,
)

SECTIONS: tuple[type[BaseModel], ...] = (
    RedisSettings,
    LimitSettings,
    WorkerSettings,
    SttSettings,
    LlmSettings,
    ListenSettings,
    JobSettings,
    DashboardSettings,
    LogSettings,
    MetricsSettings,
    TraceSettings,
)


def _leaves() -> Iterator[tuple[type[BaseModel], str, FieldInfo]]:
    for section in SECTIONS:
        for name, field in section.model_fields.items():
            yield section, name, field


@pytest.mark.parametrize(
    ("section", "name"),
    [
        (RedisSettings, "ca_file"),
        (RedisSettings, "cert_file"),
        (RedisSettings, "key_file"),
        (SttSettings, "model"),
        (SttSettings, "models_dir"),
        (LlmSettings, "persona"),
        (LlmSettings, "personas"),
        (ListenSettings, "outbox"),
        (JobSettings, "folder"),
    ],
)
def test_a_path_may_begin_in_a_home(
    section: type[BaseModel], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for given, meant in (
        ("~/there", "/home/me/there"),
        ("a/~/b", "a/~/b"),
        ("~nobody-here/there", "~nobody-here/there"),
    ):
        assert getattr(section(**{name: given}), name) == meant


def test_every_section_of_the_tree_is_looked_at_here() -> None:
    sections = {field.annotation for field in Settings.model_fields.values()}
    assert set(SECTIONS) == sections - {int}


@pytest.mark.parametrize(
    ("section", "name", "field"), [pytest.param(*leaf, id=leaf[1]) for leaf in _leaves()]
)
def test_every_setting_has_a_description_and_a_usable_default(
    section: type[BaseModel], name: str, field: FieldInfo
) -> None:
    assert field.description
    default = getattr(section(), name)
    assert section.model_validate({name: default}) == section()


@pytest.mark.parametrize(
    ("section", "name"),
    [(section, name) for section, name, _ in _leaves() if name.endswith(("_s", "_ms", "_mb"))],
)
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 1e300])
def test_no_duration_or_size_is_negative_infinite_or_too_big_for_redis(
    section: type[BaseModel], name: str, value: float
) -> None:
    with pytest.raises(ValidationError):
        section.model_validate({name: value})


def test_the_longest_time_is_a_number_that_redis_takes() -> None:
    limits = LimitSettings(session_ttl_s=1e9)
    assert ms(limits.session_ttl_s) == 10**12
    with pytest.raises(ValidationError):
        LimitSettings(session_ttl_s=2e9)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (Settings, {"shards": 0}),
        (Settings, {"shards": 16_385}),
        (Settings, {"nothing": 1}),
        (RedisSettings, {"url": ""}),
        (RedisSettings, {"urll": "x"}),
        (LimitSettings, {"max_backlog": 0}),
        (LimitSettings, {"max_backlog": 10**20}),
        (LimitSettings, {"deltas": "maybe"}),
        (SttSettings, {"device": "tpu"}),
        (SttSettings, {"no_speech_threshold": 1.1}),
        (SttSettings, {"log_prob_threshold": float("nan")}),
        (LlmSettings, {"base_url": "localhost:8000"}),
        (LlmSettings, {"base_url": "ftp://host/v1"}),
        (LlmSettings, {"base_url": "http:///v1"}),
        (LlmSettings, {"temperature": 2.5}),
        (LlmSettings, {"rounds": -1}),
        (ListenSettings, {"preset": "shout"}),
        (ListenSettings, {"frame_ms": 25}),
        (ListenSettings, {"vad_mode": 4}),
        (ListenSettings, {"codec": "mp3"}),
        (ListenSettings, {"language": "klingon"}),
        (ListenSettings, {"language": "a" * 17}),
        (ListenSettings, {"persona": "two\nlines"}),
        (ListenSettings, {"persona": "x" * 65}),
        (ListenSettings, {"max_utterance_s": 601}),
        (ListenSettings, {"eager": "perhaps"}),
        (ListenSettings, {"eager_max": 0}),
        (LogSettings, {"level": "loud"}),
        (MetricsSettings, {"port": 65_536}),
        (MetricsSettings, {"host": ""}),
        (TraceSettings, {"endpoint": "collector:4318"}),
    ],
)
def test_what_cannot_be_used_is_refused(section: type[BaseModel], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        section.model_validate(values)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        *[(value, "on") for value in (True, "true", "1", "yes", "on", "ON")],
        *[(value, "off") for value in (False, "false", "0", "no", "off")],
        ("auto", "auto"),
    ],
)
def test_a_switch_with_auto_takes_booleans_as_well(value: object, meant: str) -> None:
    assert ListenSettings.model_validate({"eager": value}).eager == meant


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        setattr(Settings().redis, "url", "redis://elsewhere")  # noqa: B010  # mypy knows better


def test_secrets_do_not_show_in_a_representation() -> None:
    settings = Settings(
        redis=RedisSettings(password=SecretStr("hunter2")),
        llm=LlmSettings(api_key=SecretStr("hunter2")),
    )
    assert "hunter2" not in repr(settings) + str(settings)


def test_the_outbox_has_a_place_of_its_own_unless_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ListenSettings().outbox_folder().is_relative_to(tmp_path)
    assert ListenSettings(outbox="/var/lib/outbox").outbox_folder() == Path("/var/lib/outbox")


def test_the_defaults_that_the_design_names() -> None:
    settings = Settings()
    assert settings.stt.model == "small.en"
    assert settings.shards == 1
    assert settings.worker.claim_idle_s == 10
    assert settings.listen.preset == "conversation"
    assert settings.listen.codec == "flac"
    assert settings.limits.session_ttl_s == settings.limits.results_age_s == 24 * 3_600
    assert settings.llm.rounds == 5
    assert settings.llm.concurrency == 64
    assert settings.limits.seen_ttl_s > settings.listen.outbox_max_age_s
