"""Loading the settings, with one sentence for what is wrong and the origin of each value."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from common.errors import BadSetting
from common.setting_files import FileSettingsSource
from common.settings import PREFIX, Settings


def load(overrides: Mapping[str, Any] | None = None) -> Settings:
    """The effective settings. `overrides` is nested as the tree is: the command line's part.

    Raises BadSetting with one sentence.
    """
    try:
        return Settings(**dict(overrides or {}))
    except ValidationError as error:
        raise BadSetting(_explain(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"earshot.toml is not valid TOML: {error}") from None
    except ValueError as error:  # pydantic-settings: a variable that should hold JSON
        raise BadSetting(f"the environment cannot be read: {error}") from None


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    path = [str(part) for part in first["loc"]]
    variable = PREFIX + "__".join(path).upper()
    name = ".".join(path)
    if first["type"] == "extra_forbidden":
        return f"there is no setting {name} ({variable}); `earshot config` lists those there are"
    value = first["input"]
    shown = "********" if isinstance(value, SecretStr) else repr(value)[:80]
    return f"the setting {name} ({variable}) cannot be {shown}: {first['msg']}"


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting: `value` as it is in force (secrets masked) and where it came from."""

    name: str
    value: Any
    origin: str
    description: str


def explain_origins(settings: Settings, overrides: Mapping[str, Any]) -> Iterator[Origin]:
    """Every setting of the tree in its order."""
    sources = [
        ("command line", dict(_flatten(overrides))),
        ("environment", dict(_flatten(EnvSettingsSource(Settings)()))),
        ("file", dict(_flatten(FileSettingsSource(Settings, PREFIX)()))),
        (str(Path("earshot.toml")), dict(_flatten(TomlConfigSettingsSource(Settings)()))),
    ]
    for name, value, description in _leaves(settings):
        origin = next((label for label, values in sources if name in values), "default")
        if origin in {"environment", "file"}:
            suffix = "_FILE" if origin == "file" else ""
            origin = PREFIX + name.replace(".", "__").upper() + suffix
        yield Origin(name, value, origin, description)


def _leaves(settings: Settings) -> Iterator[tuple[str, Any, str]]:
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if hasattr(value, "__pydantic_fields__"):
            for inner, inner_field in type(value).model_fields.items():
                leaf = getattr(value, inner)
                if isinstance(leaf, SecretStr):
                    leaf = "********" if leaf.get_secret_value() else ""
                elif inner == "url":
                    leaf = mask_password(leaf)
                yield f"{name}.{inner}", leaf, inner_field.description or ""
        else:
            yield name, value, field.description or ""


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def mask_password(url: str) -> str:
    """The URL without what stands between `:` and `@`, for logs and people."""
    scheme, separator, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    if not at:
        return url
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}{colon}{'********' if colon else ''}@{host}"


def environment(settings: Settings) -> dict[str, str]:
    """All settings as variables for a child process, so that it needs no other source."""
    variables: dict[str, str] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if not hasattr(value, "__pydantic_fields__"):
            variables[PREFIX + name.upper()] = str(value)
            continue
        for inner in type(value).model_fields:
            leaf = getattr(value, inner)
            if leaf is not None:
                text = leaf.get_secret_value() if isinstance(leaf, SecretStr) else str(leaf)
                variables[f"{PREFIX}{name.upper()}__{inner.upper()}"] = text
    return variables


def inherited() -> dict[str, str]:
    """This process's environment without earshot's own variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
