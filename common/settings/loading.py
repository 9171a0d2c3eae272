"""Loading the settings: one sentence for what is wrong, and where each value came from."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError, TomlConfigSettingsSource

from common.errors import BadSetting
from common.settings import PREFIX, Settings
from common.settings.masking import MASK, mask_password
from common.settings.sources import EnvironmentSource, FileSettingsSource

TOML: Final = "earshot.toml"

NOT_SETTINGS: Final = re.compile(
    r"_SERVICE_(HOST|PORT)(_|$)|_PORT(_\d+_(TCP|UDP|SCTP)(_|$)|$)|^EARSHOT_STANDIN_"
)
"""Variables that Kubernetes sets for services whose name begins with "earshot", and those of the
stand-in LLM."""

BYTES_PER_SECOND: Final = 32_000
"""Of audio at 16 kHz with 16 bits, before it is encoded."""


def variable_of(name: str) -> str:
    """Return the environment variable of a setting: `EARSHOT_REDIS__URL` for `redis.url`."""
    return PREFIX + name.replace(".", "__").upper()


def list_settings() -> list[str]:
    """Return every setting, as `section.name`."""
    return [name for name, _, _ in _list_leaves(Settings.model_construct())]


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return the effective settings. `overrides` (the command line) is nested as the tree is.

    Raises BadSetting with one sentence.
    """
    try:
        settings = Settings(**dict(overrides or {}))
    except ValidationError as error:
        raise BadSetting(_explain(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{TOML} is not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise BadSetting(f"{TOML} is not UTF-8") from None
    except OSError as error:
        raise BadSetting(f"{TOML} cannot be read: {error.strerror}") from None
    except SettingsError as error:  # the variable of a whole section, which would have to be JSON
        section = re.search(r'field "(\w+)"', str(error))
        name = PREFIX + (section[1].upper() if section else "SECTION")
        raise BadSetting(
            f"{name} is a section of settings, not a setting: set {name}__NAME instead"
        ) from None
    _refuse_unknown_variables()
    _refuse_contradictions(settings)
    return settings


def _refuse_unknown_variables() -> None:
    """Raise BadSetting for a misspelt name, which pydantic-settings would ignore."""
    sections = {
        variable_of(name)
        for name, field in Settings.model_fields.items()
        if hasattr(field.annotation, "model_fields")
    }
    inside = tuple(f"{section}__" for section in sections)  # where it looks at every name
    single = {variable_of(name) for name in Settings.model_fields} - sections
    known = sections | single | {f"{name}_FILE" for name in single}
    for variable in os.environ:
        name = variable.upper()
        if not name.startswith(PREFIX) or name in known or name.startswith(inside):
            continue
        if not NOT_SETTINGS.search(name):
            raise BadSetting(f"there is no setting {variable}; {_suggest_setting(name)}")


def _suggest_setting(variable: str) -> str:
    close = get_close_matches(variable, map(variable_of, list_settings()), n=1, cutoff=0.8)
    return f"did you mean {close[0]}?" if close else "docs/configuration.md lists those there are"


def _refuse_contradictions(settings: Settings) -> None:
    listen, limits, llm = settings.listen, settings.limits, settings.llm
    if limits.seen_ttl_s <= listen.outbox_max_age_s:
        raise BadSetting(
            f"limits.seen_ttl_s ({variable_of('limits.seen_ttl_s')}) must be longer than"
            f" listen.outbox_max_age_s ({variable_of('listen.outbox_max_age_s')}): an utterance"
            " that waited in the outbox for longer than it is remembered could be answered twice"
        )
    if listen.max_utterance_s > limits.max_audio_s:
        raise BadSetting(
            f"listen.max_utterance_s ({variable_of('listen.max_utterance_s')}) must not be above"
            f" limits.max_audio_s ({variable_of('limits.max_audio_s')}): workers would bury longer"
            " utterances"
        )
    if listen.max_utterance_s * BYTES_PER_SECOND > limits.max_entry_bytes:
        raise BadSetting(
            f"listen.max_utterance_s ({variable_of('listen.max_utterance_s')}) needs"
            f" {BYTES_PER_SECOND} bytes a second, more than limits.max_entry_bytes"
            f" ({variable_of('limits.max_entry_bytes')}) allows: workers would bury the utterance"
        )
    if llm.min_tokens > llm.max_tokens:
        raise BadSetting(
            f"llm.min_tokens ({variable_of('llm.min_tokens')}) must not be above"
            f" llm.max_tokens ({variable_of('llm.max_tokens')})"
        )


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    variable = variable_of(name)
    if first["type"] == "extra_forbidden":
        return f"there is no setting {name} ({variable}); {_suggest_setting(variable)}"
    if first["type"] == "model_type":
        return f"{name} ({variable}) is a section of settings, not a setting: set {variable}__NAME"
    why = first["msg"].removeprefix("Value error, ")
    return f"the setting {name} ({variable}) cannot be {_show_value(name, first['input'])}: {why}"


def _show_value(name: str, value: Any) -> str:
    field = _find_field(name)
    if isinstance(value, SecretStr) or (field is not None and field.annotation is SecretStr):
        return MASK
    if isinstance(value, list | dict):
        return f"a {type(value).__name__}"  # in which a password may be
    return repr(mask_password(value) if isinstance(value, str) else value)[:80]


def _find_field(name: str) -> Any:
    model: Any = Settings
    field = None
    for part in name.split("."):
        field = getattr(model, "model_fields", {}).get(part)
        model = getattr(field, "annotation", None)
    return field


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting: its effective `value` (secrets masked) and where it came from."""

    name: str
    value: Any
    origin: str
    description: str


def list_origins(settings: Settings, overrides: Mapping[str, Any]) -> Iterator[Origin]:
    """Yield every setting, in the order of the tree, with its origin."""
    sources = [
        ("command line", dict(_flatten(overrides))),
        ("environment", dict(_flatten(EnvironmentSource(Settings)()))),
        ("file", dict(_flatten(FileSettingsSource(Settings, PREFIX)()))),
        (TOML, dict(_flatten(TomlConfigSettingsSource(Settings)()))),
    ]
    for name, value, description in _list_leaves(settings):
        origin = next((label for label, values in sources if name in values), "default")
        if origin in {"environment", "file"}:
            origin = variable_of(name) + ("_FILE" if origin == "file" else "")
        yield Origin(name, value, origin, description)


def _list_leaves(settings: Settings) -> Iterator[tuple[str, Any, str]]:
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if hasattr(value, "__pydantic_fields__"):
            for inner, inner_field in type(value).model_fields.items():
                leaf = getattr(value, inner)
                if isinstance(leaf, SecretStr):
                    leaf = MASK if leaf.get_secret_value() else ""
                elif isinstance(leaf, str):
                    leaf = mask_password(leaf)
                yield f"{name}.{inner}", leaf, inner_field.description or ""
        else:
            yield name, value, field.description or ""


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        # a setting may be a table itself
        yield f"{prefix}{key}", value
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")


def settings_as_environment(settings: Settings) -> dict[str, str]:
    """Return the settings as environment variables, for a child process with the same settings.

    Defaults are included, since the child's `earshot.toml` might set something else.
    """
    variables: dict[str, str] = {}
    for name in list_settings():
        value: Any = settings
        for part in name.split("."):
            value = getattr(value, part)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if value is not None:
            variables[variable_of(name)] = str(value)
    return variables


def environment_without_settings() -> dict[str, str]:
    """Return this process's environment without the variables of settings."""
    return {
        name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)
    }
