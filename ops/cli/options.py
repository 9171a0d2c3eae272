"""Command-line options that stand for settings: one description, one validation."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from common.settings import Settings, loading
from common.telemetry import logs

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

KEY: Final = "earshot.overrides"


def setting(
    flag: str, name: str, *, says: str = "", **options: Any
) -> Callable[[Decorated], Decorated]:
    """A click option for the setting `section.name`.

    Its help is the setting's description, or what it `says` where a command takes the setting for
    something else.
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
        flag, expose_value=False, callback=store, help=says or _description(name), **options
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
    """What this command line sets, nested as the settings are."""
    values: dict[str, Any] = ctx.meta.setdefault(KEY, {})
    return values


def load_settings(ctx: click.Context) -> Settings:
    """The effective settings of a command; raises BadSetting."""
    return loading.load_settings(overrides(ctx))


def load_settings_and_logs(ctx: click.Context, **bound: Any) -> Settings:
    """The same, with logs set up as they say; `bound` values stand on every line."""
    settings = load_settings(ctx)
    logs.set_up(settings.log, **bound)
    return settings


def redis_options(command: Decorated) -> Decorated:
    """The options of every command that talks to Redis."""
    return setting("--redis-url", "redis.url", metavar="URL")(command)


def log_options(command: Decorated) -> Decorated:
    """The options of every command that runs for long."""
    for option in (
        setting("--log-level", "log.level", metavar="LEVEL"),
        setting("--log-format", "log.format", metavar="FORMAT"),
    ):
        command = option(command)
    return command
