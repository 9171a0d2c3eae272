"""Settings whose value lies in a file: `EARSHOT_REDIS__PASSWORD_FILE=/run/secrets/redis`."""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from common.errors import BadSetting

SUFFIX = "_FILE"


class FileSettingsSource(PydanticBaseSettingsSource):
    """Reads `PREFIX...__NAME_FILE` variables; a trailing line end is not part of the value."""

    def __init__(self, settings_cls: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings_cls)
        self._prefix = prefix

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise AssertionError("this source is read as a whole")

    def __call__(self) -> dict[str, Any]:
        """The nested values; raises BadSetting for a file that cannot be read."""
        values: dict[str, Any] = {}
        for variable, path in os.environ.items():
            if not variable.startswith(self._prefix) or not variable.endswith(SUFFIX):
                continue
            parts = variable[len(self._prefix) : -len(SUFFIX)].lower().split("__")
            if not self._is_setting(parts):
                continue
            try:
                text = Path(path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise BadSetting(f"{variable}={path} cannot be read: {error}") from None
            section = values
            for part in parts[:-1]:
                section = section.setdefault(part, {})
            section[parts[-1]] = text.rstrip("\r\n")
        return values

    def _is_setting(self, parts: list[str]) -> bool:
        """Tells `REDIS__URL_FILE` (a value in a file) from `REDIS__CA_FILE` (a setting)."""
        model: Any = self.settings_cls
        for part in parts:
            fields = getattr(model, "model_fields", {})
            if part not in fields:
                return False
            model = fields[part].annotation
        return True
