"""Command-line options for settings: they share the setting's description and validation."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from common.settings import Settings, loading
from common.telemetry import logs

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

KEY: Final = "earshot.overrides"


def setting(
    flag: str, name: str, *, help_text: str = "", **options: Any
) -> Callable[[Decorated], Decorated]:
    """Make a click option for the setting `section.name`.

    Its help is the setting's description, or `help_text` where the setting means something else
    to this command.
    """

    def store(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value is None:
            return
        target = overrides(ctx)
        *sections, leaf = name.split(".")
        for section in sections:
            target = target.setdefault(section, {})
        target[leaf] = value

    return click.option(
        flag, expose_value=False, callback=store, help=help_text or _description(name), **options
    )


def _description(name: str) -> str:
    model: Any = Settings
    *sections, leaf = name.split(".")
    for section in sections:
        model = model.model_fields[section].annotation
    field = model.model_fields[leaf]
    default = field.default
    shown = "" if default in {None, ""} else f"  [default: {default}]"
    return f"{field.description}{shown}"


def overrides(ctx: click.Context) -> dict[str, Any]:
    """Return what this command line sets, nested as the settings are."""
    values: dict[str, Any] = ctx.meta.setdefault(KEY, {})
    return values


def load_settings(ctx: click.Context) -> Settings:
    """Load the effective settings of a command; raises BadSetting."""
    return loading.load_settings(overrides(ctx))


def load_settings_and_logs(ctx: click.Context, **bound: Any) -> Settings:
    """Load the settings and set up logs; every log line carries the `bound` values."""
    settings = load_settings(ctx)
    logs.set_up(settings.log, **bound)
    return settings


def redis_options(command: Decorated) -> Decorated:
    """Add the options of every command that talks to Redis."""
    return setting("--redis-url", "redis.url", metavar="URL")(command)


def log_options(command: Decorated) -> Decorated:
    """Add the options of every command that logs while it runs."""
    for option in (
        setting("--log-level", "log.level", metavar="LEVEL"),
        setting("--log-format", "log.format", metavar="FORMAT"),
    ):
        command = option(command)
    return command
