"""The page of settings. `python -m ops.docs.configuration` writes it into `docs/`."""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from common.settings import Settings
from common.settings.loading import variable_of

PATH: Final = Path(__file__).parents[2] / "docs" / "configuration.md"

OPENING: Final = """\
# Configuration

Generated from `common/settings/` by `python -m ops.docs.configuration`: change it there.

A setting takes its value from the first of these places that names it:

1. the command line, if the command has an option for it (`earshot listen --help`)
2. an environment variable: `EARSHOT_REDIS__URL`, with two underscores between section and name
3. a file that an environment variable names: `EARSHOT_REDIS__PASSWORD_FILE=/run/secrets/redis`.
   Every variable has such a form. The line end of the file is not part of the value.
4. `earshot.toml` in the working directory:

   ```toml
   shards = 1

   [redis]
   url = "redis://redis.example:6379/0"

   [listen]
   preset = "command"
   ```

5. the defaults below

`earshot config` prints the values in force and where each came from. It masks passwords and keys.
If a name does not exist, or a value cannot be used, the process does not start and says why. Names
end in their unit: `_s` are seconds, `_ms` milliseconds, `_mb` megabytes (2^20 bytes).
"""

BOUNDS: Final = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
}
BOUNDLESS: Final = 10**9
"""An upper bound as large as this only keeps numbers in range, so the table leaves it out."""


def render() -> str:
    """Return the text of the page."""
    return "\n".join([OPENING, *_sections()]) + "\n"


def _sections() -> Iterator[str]:
    top = {name: field for name, field in Settings.model_fields.items() if not _is_section(field)}
    yield from _table("Top level", Settings, top, "")
    for name, field in Settings.model_fields.items():
        if _is_section(field):
            model: Any = field.annotation
            yield from _table(f"`[{name}]`", model, model.model_fields, f"{name}.")


def _is_section(field: FieldInfo) -> bool:
    return inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel)


def _table(
    title: str, model: type[BaseModel], fields: Mapping[str, FieldInfo], prefix: str
) -> Iterator[str]:
    yield f"## {title}\n"
    if prefix:
        yield f"{inspect.cleandoc(model.__doc__ or '')}\n"
    yield "| name | variable | values | default | |"
    yield "|---|---|---|---|---|"
    properties = model.model_json_schema()["properties"]
    for name, field in fields.items():
        cells = (
            f"`{name}`",
            f"`{variable_of(prefix + name)}`",
            _values(properties[name], field),
            _default(field),
            field.description or "",
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value == "" or isinstance(value, SecretStr):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(shape: dict[str, Any], field: FieldInfo) -> str:
    if field.annotation is SecretStr:
        return "secret text"
    if "anyOf" in shape:  # the value may be missing
        shape = shape["anyOf"][0]
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    kind = {"number": "number", "integer": "whole number", "boolean": "`true`, `false`"}.get(
        shape["type"], "text"
    )
    bounds = [
        f"{words} {shape[bound]:g}"
        for bound, words in BOUNDS.items()
        if bound in shape and abs(shape[bound]) < BOUNDLESS
    ]
    return f"{kind}, {' and '.join(bounds)}" if bounds else kind


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
