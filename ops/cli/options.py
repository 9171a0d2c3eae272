"""Command-line options. Those for settings have the setting's description and validation."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from common.settings import Settings, loading
from common.telemetry import logs

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

KEY: Final = "earshot.overrides"

METAVARS: Final = {
    "dashboard.host": "ADDRESS",
    "dashboard.port": "PORT",
    "jobs.folder": "FOLDER",
    "jobs.recordings": "N",
    "jobs.redis_url": "URL",
    "listen.channel": "N",
    "listen.codec": "flac|pcm_s16le",
    "listen.device": "INDEX|NAME",
    "listen.eager": "auto|on|off",
    "listen.frame_ms": "10|20|30",
    "listen.interrupt": "auto|off|new_turn",
    "listen.language": "CODE",
    "listen.max_utterance_s": "SECONDS",
    "listen.min_speech_s": "SECONDS",
    "listen.outbox": "FOLDER",
    "listen.persona": "NAME",
    "listen.pre_roll_s": "SECONDS",
    "listen.preset": "command|conversation|dictation",
    "listen.session": "ID",
    "listen.silence_s": "SECONDS",
    "listen.vad": "webrtc|silero|cascade",
    "listen.vad_mode": "0..3",
    "llm.base_url": "URL",
    "llm.concurrency": "N",
    "llm.model": "NAME",
    "llm.persona": "NAME|FILE",
    "llm.rounds": "N",
    "llm.system_prompt": "TEXT",
    "log.format": "FORMAT",
    "log.level": "LEVEL",
    "metrics.host": "ADDRESS",
    "metrics.port": "PORT",
    "redis.url": "URL",
    "stt.beam_size": "N",
    "stt.compute_type": "TYPE",
    "stt.device": "auto|cpu|cuda",
    "stt.language": "CODE",
    "stt.model": "NAME|FOLDER|demo",
}
"""What the help shows as the value of an option for this setting."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
json_lines_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line."
)
verbose_option = click.option(
    "--verbose", is_flag=True, help="Print the logs of the processes too."
)


def setting(
    flag: str, name: str, *, help_text: str = "", **options: Any
) -> Callable[[Decorated], Decorated]:
    """Make a click option for the setting `section.name`.

    Its help is the description of the setting. Use `help_text` if the setting means something else
    to the command.
    """

    def store(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value is None:
            return
        target = overrides(ctx)
        *sections, leaf = name.split(".")
        for section in sections:
            target = target.setdefault(section, {})
        target[leaf] = value

    if not options.get("is_flag"):
        options["metavar"] = METAVARS.get(name)
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
    """Return the settings that the options of this command line set, nested by section."""
    values: dict[str, Any] = ctx.meta.setdefault(KEY, {})
    return values


def load_settings(ctx: click.Context) -> Settings:
    """Load the settings of a command, with its options. Raises BadSetting."""
    return loading.load_settings(overrides(ctx))


def load_settings_and_logs(ctx: click.Context, **bound: Any) -> Settings:
    """Load the settings and set up logs. Every log line has the `bound` values."""
    settings = load_settings(ctx)
    logs.set_up(settings.log, **bound)
    return settings


def redis_options(command: Decorated) -> Decorated:
    """Add the options of every command that talks to Redis."""
    return setting("--redis-url", "redis.url")(command)


def jobs_options(command: Decorated) -> Decorated:
    """Add the options of every command that talks to the Redis of the jobs."""
    return setting("--jobs-redis-url", "jobs.redis_url")(redis_options(command))


def log_options(command: Decorated) -> Decorated:
    """Add the options of every command that logs while it runs."""
    for option in (
        setting("--log-level", "log.level"),
        setting("--log-format", "log.format"),
    ):
        command = option(command)
    return command
