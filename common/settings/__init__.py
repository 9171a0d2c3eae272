"""The settings tree.

Command-line options override environment variables, these override `earshot.toml`, and that
overrides the defaults. An environment variable is named `EARSHOT_SECTION__NAME` (top level:
`EARSHOT_NAME`); with `_FILE` at its end it names a file that holds the value. Names end in their
unit (`_s` seconds, `_ms` milliseconds); descriptions give the reason for the default.
"""

from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from common.settings.sections.dashboard import DashboardSettings
from common.settings.sections.fields import Port
from common.settings.sections.jobs import JobSettings
from common.settings.sections.limits import LimitSettings
from common.settings.sections.listen import ListenSettings
from common.settings.sections.llm import LlmSettings
from common.settings.sections.log import LogSettings
from common.settings.sections.metrics import MetricsSettings
from common.settings.sections.redis import RedisSettings
from common.settings.sections.stt import SttSettings
from common.settings.sections.traces import TraceSettings
from common.settings.sections.worker import WorkerSettings
from common.settings.sources import EnvironmentSource, FileSettingsSource

__all__ = [
    "PREFIX",
    "DashboardSettings",
    "JobSettings",
    "LimitSettings",
    "ListenSettings",
    "LlmSettings",
    "LogSettings",
    "MetricsSettings",
    "Port",
    "RedisSettings",
    "Settings",
    "SttSettings",
    "TraceSettings",
    "WorkerSettings",
]

PREFIX: Final = "EARSHOT_"


class Settings(BaseSettings):
    """All settings. `earshot config` prints the values in force and where each came from."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        toml_file="earshot.toml",
        nested_model_default_partial_update=True,
        hide_input_in_errors=True,
    )

    shards: Annotated[int, Field(ge=1, le=16_384)] = Field(
        1,
        description="Number of shards for the sessions. 1 is enough for one Redis server.",
    )
    redis: RedisSettings = RedisSettings()
    limits: LimitSettings = LimitSettings()
    worker: WorkerSettings = WorkerSettings()
    stt: SttSettings = SttSettings()
    llm: LlmSettings = LlmSettings()
    listen: ListenSettings = ListenSettings()
    dashboard: DashboardSettings = DashboardSettings()
    jobs: JobSettings = JobSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TraceSettings = TraceSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, strongest first: options, environment, its files, `earshot.toml`."""
        return (
            init_settings,
            EnvironmentSource(settings_cls),
            FileSettingsSource(settings_cls, PREFIX),
            TomlConfigSettingsSource(settings_cls),
        )
