"""Settings in the environment, and in files named there: `EARSHOT_REDIS__PASSWORD_FILE=...`."""

import os
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from common.errors import BadSetting

SUFFIX: Final = "_FILE"


def file_variables(settings_cls: type[BaseSettings], prefix: str) -> dict[str, list[str]]:
    """Return the variables that name a file instead of a value, each with its setting's path."""
    found = {}
    for variable in os.environ:
        name = variable.upper()
        if name.startswith(prefix) and name.endswith(SUFFIX):
            parts = name[len(prefix) : -len(SUFFIX)].lower().split("__")
            if _is_setting(settings_cls, parts):
                found[variable] = parts
    return found


def _is_setting(model: Any, parts: list[str]) -> bool:
    """Distinguish `REDIS__URL_FILE` (a value in a file) from `REDIS__CA_FILE` (a setting)."""
    for part in parts:
        fields = getattr(model, "model_fields", {})
        if part not in fields:
            return False
        model = fields[part].annotation
    return not hasattr(model, "model_fields")


class EnvironmentSource(EnvSettingsSource):
    """The environment's values, without the variables that name a file.

    Where such a variable exists, an empty value beside it does not count: so Compose can take back
    what its `.env` sets.
    """

    def __call__(self) -> dict[str, Any]:
        values = super().__call__()
        for *sections, leaf in file_variables(self.settings_cls, self.env_prefix).values():
            section: Any = values
            for part in sections:
                section = section.get(part, {})
            section.pop(f"{leaf}{SUFFIX.lower()}", None)
            if section.get(leaf) == "":
                del section[leaf]
        return values


class FileSettingsSource(PydanticBaseSettingsSource):
    """Reads `PREFIX...__NAME_FILE` variables; a trailing line end is not part of the value."""

    def __init__(self, settings_cls: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings_cls)
        self._prefix = prefix

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise AssertionError("this source is read as a whole")

    def __call__(self) -> dict[str, Any]:
        """Return the nested values; raises BadSetting for a file that cannot be read."""
        values: dict[str, Any] = {}
        for variable, (*sections, leaf) in file_variables(self.settings_cls, self._prefix).items():
            path = os.environ[variable]
            try:
                text = Path(os.path.expanduser(path)).read_text(encoding="utf-8")  # noqa: PTH111  # never raises
            except OSError as error:
                raise BadSetting(f"{variable}={path} cannot be read: {error.strerror}") from None
            except UnicodeDecodeError:
                raise BadSetting(f"{variable}={path} cannot be read: it is not UTF-8") from None
            section = values
            for part in sections:
                section = section.setdefault(part, {})
            section[leaf] = text.rstrip("\r\n")
        return values
