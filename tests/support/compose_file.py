"""docker-compose.yml and its overrides as Compose would read them, without a Docker engine."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.repository import ROOT

FILE: Final = ROOT / "docker-compose.yml"
SECURE: Final = ROOT / "ops" / "deploy" / "compose" / "secure.yml"
MIC_HOST: Final = ROOT / "ops" / "deploy" / "compose" / "mic-host.yml"

# The forms of https://docs.docker.com/reference/compose-file/interpolation/ that the files use.
_VARIABLE: Final = re.compile(
    r"\$(?:(?P<escaped>\$)"
    r"|\{(?P<name>\w+)(?::-(?P<default>[^{}]*)|:\?(?P<complaint>[^{}]*))?\})"
)
# Of a service's lists an override replaces these and adds to the others:
# https://docs.docker.com/reference/compose-file/merge/
_REPLACED: Final = frozenset({"command", "entrypoint", "test"})


class Missing(Exception):
    """A variable that a file cannot do without (`${NAME:?what to do}`)."""


def compose_file(env: Mapping[str, str], *overrides: Path) -> dict[str, Any]:
    """The whole file, with the overrides and the variables of `env` in place."""
    content: dict[str, Any] = {}
    for file in (FILE, *overrides):
        content = _merged(content, yaml.safe_load(file.read_text(encoding="utf-8")))
    interpolated = _interpolated(content, env)
    assert isinstance(interpolated, dict)
    return interpolated


def services(env: Mapping[str, str], *overrides: Path) -> dict[str, dict[str, Any]]:
    """The services by name."""
    found: dict[str, dict[str, Any]] = compose_file(env, *overrides)["services"]
    return found


def started(found: Mapping[str, Mapping[str, Any]], *profiles: str) -> set[str]:
    """The names of those that `docker compose --profile ... up` starts."""
    return {
        name
        for name, service in found.items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }


def environment(service: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    """A service's variables: its own, and those that it takes over from `env` where it has them."""
    own: dict[str, str | None] = service.get("environment", {})
    values = {name: env.get(name) if value is None else value for name, value in own.items()}
    return {name: value for name, value in values.items() if value is not None}


def variables(*overrides: Path) -> dict[str, str | None]:
    """The variables that the files interpolate, with their defaults."""
    lines = [
        line
        for file in (FILE, *overrides)
        for line in file.read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith("#")
    ]
    found = _VARIABLE.finditer("\n".join(lines))
    return {one["name"]: one["default"] for one in found if one["name"]}


def _merged(below: Any, above: Any, key: str = "") -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        both = {name: _merged(below[name], above[name], name) for name in below.keys() & above}
        return below | above | both
    if isinstance(below, list) and isinstance(above, list) and key not in _REPLACED:
        return below + [item for item in above if item not in below]
    return above


def _interpolated(value: Any, env: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _interpolated(inner, env) for key, inner in value.items()}
    if isinstance(value, list):
        return [_interpolated(inner, env) for inner in value]
    if not isinstance(value, str):
        return value
    if "$" in _VARIABLE.sub("", value):
        raise ValueError(f"a form of interpolation that this reader does not know: {value}")
    return _VARIABLE.sub(lambda found: _value(found, env), value)


def _value(found: re.Match[str], env: Mapping[str, str]) -> str:
    if found["escaped"]:
        return "$"
    # `:-`: the default stands for an empty value as well
    value = env.get(found["name"], "") or found["default"] or ""
    if found["complaint"] and not value:
        raise Missing(f"{found['name']}: {found['complaint']}")
    return value


def mounts(service: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Where each of a service's mounts is inside of it, and natively: folders of the repository
    where they are, volumes in `folder`."""
    found = []
    for mount in service.get("volumes", []):
        if isinstance(mount, dict):
            found.append((mount["target"], str(ROOT / mount["source"])))
        else:
            inside = mount.split(":")[1]
            found.append((inside, f"{folder}{inside}"))
    return found
