"""docker-compose.yml as Compose would read it, without a Docker engine."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parent.parent
FILE: Final = ROOT / "docker-compose.yml"

# The forms of https://docs.docker.com/reference/compose-file/interpolation/ that the file uses.
_VARIABLE: Final = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::-(?P<default>[^{}]*))?\})")


def compose_file(env: Mapping[str, str]) -> dict[str, Any]:
    """The whole file with the variables of `env` in place."""
    content = _interpolated(yaml.safe_load(FILE.read_text(encoding="utf-8")), env)
    assert isinstance(content, dict)
    return content


def services(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The services by name."""
    found: dict[str, dict[str, Any]] = compose_file(env)["services"]
    return found


def environment(service: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    """A service's variables: its own, and those that it takes over from `env` where it has them."""
    own: dict[str, str | None] = service.get("environment", {})
    values = {name: env.get(name) if value is None else value for name, value in own.items()}
    return {name: value for name, value in values.items() if value is not None}


def variables() -> dict[str, str | None]:
    """The variables that the file interpolates, with their defaults."""
    text = "\n".join(
        line for line in FILE.read_text(encoding="utf-8").splitlines() if "#" not in line
    )
    return {found["name"]: found["default"] for found in _VARIABLE.finditer(text) if found["name"]}


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
    return env.get(found["name"], "") or found["default"] or ""
