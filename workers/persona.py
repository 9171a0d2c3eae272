"""Personas: who answers. Each is a TOML file whose values go over those in `[llm]`."""

import tomllib
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import ValidationError

from common.configuration import variable_of
from common.errors import BadSetting
from common.settings import LlmSettings
from common.settings.fields import Section
from common.utterance import explain

SUFFIX: Final = ".toml"
BUNDLED: Final = "personas"

# Producers may name anything: so many unknown names are said aloud, further ones are not.
MAX_SAID: Final = 100

log = structlog.get_logger(__name__)


class PersonaFile(Section):
    """What stands in a persona's file; what does not is as in `[llm]`, where the bounds are too."""

    prompt: str
    temperature: float | None = None
    rounds: int | None = None
    tokens_per_word: float | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None


class Personas:
    """Every persona of a worker, read once. Raises BadSetting for a file that cannot be used."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self._by_name = {
            _key(name): self._read(file, name) for name, file in _files(settings.personas)
        }
        chosen = self._default(settings.persona)
        if settings.system_prompt:
            chosen = chosen.model_copy(update={"system_prompt": settings.system_prompt})
        self.default = chosen
        """Answers where nobody chose; `llm.system_prompt` goes over its prompt."""
        self.most_rounds = max(
            persona.rounds for persona in (self.default, *self._by_name.values())
        )
        self._unknown: set[str] = set()

    @property
    def names(self) -> list[str]:
        """All that there are."""
        return sorted(self._by_name)

    def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        return _key(name) in self._by_name

    def named(self, name: str) -> LlmSettings:
        """The settings under which a persona answers; the default ones for one that is not there.

        Upper case, blanks and underscores make no difference.
        """
        if not name:
            return self.default
        found = self._by_name.get(_key(name))
        if found is not None:
            return found
        if name not in self._unknown and len(self._unknown) < MAX_SAID:
            self._unknown.add(name)
            log.warning(
                "unknown_persona", persona=name, answers="the default", there_are=self.names
            )
        return self.default

    def _default(self, chosen: str) -> LlmSettings:
        if "/" in chosen or chosen.endswith(SUFFIX):
            path = Path(chosen)
            self._by_name[_key(path.stem)] = self._read(path, chosen)
            return self._by_name[_key(path.stem)]
        if _key(chosen) not in self._by_name:
            raise BadSetting(
                f"there is no persona {chosen!r} ({variable_of('llm.persona')}): there are"
                f" {', '.join(self.names)}; or name a file that ends in {SUFFIX}"
            )
        return self._by_name[_key(chosen)]

    def _read(self, file: Traversable | Path, name: str) -> LlmSettings:
        """The settings with a file's values over them."""
        try:
            written = PersonaFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
            values: dict[str, Any] = written.model_dump(exclude_none=True)
            values["system_prompt"] = values.pop("prompt").strip()
            persona = LlmSettings.model_validate(self._settings.model_dump() | values)
        except OSError as error:
            raise BadSetting(f"the persona {name} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BadSetting(f"the persona {name} is not UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise BadSetting(f"the persona {name} is not valid TOML: {error}") from None
        except ValidationError as error:
            raise BadSetting(f"the persona {name} cannot be used: its {explain(error)}") from None
        if persona.min_tokens > persona.max_tokens:
            raise BadSetting(
                f"the persona {name} cannot be used: its min_tokens ({persona.min_tokens}) are"
                f" above its max_tokens ({persona.max_tokens})"
            )
        return persona


def _files(folder: str) -> Iterable[tuple[str, Traversable | Path]]:
    """Name and file of each persona: the bundled ones, then those of the folder."""
    for file in (resources.files("workers") / BUNDLED).iterdir():
        if file.name.endswith(SUFFIX):
            yield file.name.removesuffix(SUFFIX), file
    if not folder:
        return
    try:
        # not glob, which from Python 3.13 on finds nothing in a folder that cannot be read
        own = sorted(path for path in Path(folder).iterdir() if path.name.endswith(SUFFIX))
    except OSError as error:
        raise BadSetting(
            f"the folder {folder} ({variable_of('llm.personas')}) cannot be read: {error.strerror}"
        ) from None
    if not own:
        raise BadSetting(
            f"the folder {folder} ({variable_of('llm.personas')}) holds no persona: no file there"
            f" ends in {SUFFIX}"
        )
    for path in own:
        yield path.stem, path


def _key(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-")
