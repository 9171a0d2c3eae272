"""Personas: who answers. Each is a TOML file whose values override those in `[llm]`."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Final

import structlog
from pydantic import Field, ValidationError

from common.errors import BadSetting
from common.settings import LlmSettings
from common.settings.loading import variable_of
from common.settings.sections.fields import Count, Section
from common.settings.sections.llm import Rounds, Temperature, TokensPerWord
from common.utterance import NAME
from common.validation import explain

SUFFIX: Final = ".toml"
BUNDLED: Final = "personas"

MAX_UNKNOWN_LOGGED: Final = 100
"""Producers may send any name: this many unknown names are logged, further ones are not."""

LONGEST_NAME: Final = 32
"""Characters. A longer name is not shown in the log."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Persona:
    """Who answers: the system prompt, and the limits and sampling of its replies.

    `rounds` is how many earlier questions with their answers the model is shown. `hotwords` are
    names and rare words that may be said to it; STT workers take them from here.
    """

    name: str
    system_prompt: str
    temperature: float
    rounds: int
    tokens_per_word: float
    min_tokens: int
    max_tokens: int
    hotwords: tuple[str, ...] = ()

    def max_tokens_for(self, words: int) -> int:
        """Return how many tokens a reply to a question of so many words may have.

        It is clamp(tokens_per_word x words, min_tokens, max_tokens).
        """
        return max(self.min_tokens, min(round(self.tokens_per_word * words), self.max_tokens))


Hotword = Annotated[str, Field(min_length=1, max_length=200, pattern=NAME)]


class PersonaFile(Section):
    """The fields of a persona's file. `[llm]` sets what the file leaves out."""

    prompt: str
    temperature: Temperature | None = None
    rounds: Rounds | None = None
    tokens_per_word: TokensPerWord | None = None
    min_tokens: Count | None = None
    max_tokens: Count | None = None
    hotwords: list[Hotword] = Field(default_factory=list)


class Personas:
    """All personas of a worker, read once. Raises BadSetting for a file that cannot be used."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self._by_name = {
            _normalized(name): self._read(file, name) for name, file in _files(settings.personas)
        }
        chosen = self._chosen(settings.persona)
        if settings.system_prompt:
            chosen = replace(chosen, system_prompt=settings.system_prompt)
        self.default = chosen
        """Answers where nobody chose a persona; `llm.system_prompt` overrides its prompt."""
        self.most_rounds = max(
            persona.rounds for persona in (self.default, *self._by_name.values())
        )
        self._unknown: set[str] = set()

    @property
    def names(self) -> list[str]:
        """The names of all personas, sorted."""
        return sorted(self._by_name)

    def has(self, name: str) -> bool:
        """Return whether there is a persona of this name."""
        return _normalized(name) in self._by_name

    def get(self, name: str) -> Persona:
        """Return the persona of this name, or the default one where there is none.

        Upper case, blanks and underscores make no difference.
        """
        if not name:
            return self.default
        found = self._by_name.get(_normalized(name))
        if found is None:
            self._log_unknown(name)
        return found or self.default

    def _log_unknown(self, name: str) -> None:
        if name in self._unknown or len(self._unknown) >= MAX_UNKNOWN_LOGGED:
            return
        self._unknown.add(name)
        # what is long was not meant as a name: it may be what somebody said
        shown = name if len(name) <= LONGEST_NAME else f"a text of {len(name)} characters"
        log.warning("unknown_persona", persona=shown, answers="the default", there_are=self.names)

    def _chosen(self, chosen: str) -> Persona:
        if "/" in chosen or chosen.endswith(SUFFIX):
            path = Path(chosen)
            persona = self._read(path, path.stem, shown=chosen)
            self._by_name[_normalized(path.stem)] = persona
            return persona
        if not self.has(chosen):
            raise BadSetting(
                f"there is no persona {chosen!r} ({variable_of('llm.persona')}): there are"
                f" {', '.join(self.names)}; or name a file that ends in {SUFFIX}"
            )
        return self._by_name[_normalized(chosen)]

    def _read(self, file: Traversable | Path, name: str, *, shown: str = "") -> Persona:
        """Read the persona `name` from its file; messages call it `shown` if that is given."""
        shown = shown or name
        try:
            written = PersonaFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        except OSError as error:
            raise BadSetting(f"the persona {shown} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BadSetting(f"the persona {shown} is not UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise BadSetting(f"the persona {shown} is not valid TOML: {error}") from None
        except ValidationError as error:
            raise BadSetting(
                f"the persona {shown} cannot be used: its {explain(error, shows_value=True)}"
            ) from None
        persona = _persona(name, written, self._settings)
        if persona.min_tokens > persona.max_tokens:
            raise BadSetting(
                f"the persona {shown} cannot be used: its min_tokens ({persona.min_tokens}) are"
                f" above its max_tokens ({persona.max_tokens})"
            )
        return persona


def _persona(name: str, written: PersonaFile, settings: LlmSettings) -> Persona:
    """Build the persona of a file: its own values, and those of the settings for the others."""
    alone = {"prompt", "hotwords"}
    own = written.model_dump(exclude_none=True, exclude=alone)
    fields = PersonaFile.model_fields.keys() - alone
    values = {field: own.get(field, getattr(settings, field)) for field in fields}
    return Persona(
        name=name, system_prompt=written.prompt.strip(), hotwords=tuple(written.hotwords), **values
    )


def _files(folder: str) -> Iterable[tuple[str, Traversable | Path]]:
    """Name and file of each persona: the bundled ones, then those of the folder."""
    for file in (resources.files("workers.llm") / BUNDLED).iterdir():
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


def _normalized(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-")
