"""Which language an utterance is in: what its producer, the settings, the model and its session
say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from common.errors import BadSetting
from common.languages.codes import language_code, nearest
from common.latch import FirstTimes
from common.settings import SttSettings
from common.settings.loading import variable_of

SURE: Final = 0.8
"""The model is sure of a language from this probability on. docs/hearing.md has what was
measured."""

SHORT_S: Final = 3.0
"""With less voice than this (s) the model is often wrong about the language."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """The language of an utterance. `sure`: whether its session may remember it."""

    language: str
    probability: float
    sure: bool


class SpokenLanguage:
    """Chooses the language of each utterance, among those that the model knows and the settings
    allow.

    Raises BadSetting for settings that leave no language.
    """

    def __init__(self, known: Sequence[str], settings: SttSettings, model: str) -> None:
        self._known = known
        self._model = model
        self._setting = self._check("stt.language", settings.language)
        names = settings.languages.split(",") if settings.languages else []
        self._allowed = [self._check("stt.languages", name) for name in names]
        self._warned = FirstTimes()

    def named(self, hint: str) -> str | None:
        """Return the language that needs no finding out: of the model, the producer or the
        settings.

        A hint that means nothing to the model is left out, with one warning: the words go before
        it.
        """
        hinted = self._read(hint) if hint else ""
        if len(self._known) == 1:
            return self._known[0]
        if len(self._allowed) == 1:
            return hinted or self._setting or self._allowed[0]
        return hinted or self._setting or None

    def find(
        self, probabilities: Iterable[tuple[str, float]], *, voiced_s: float, remembered: str
    ) -> Found:
        """Choose by what the model makes of the sound: its languages with their probabilities.

        Of an utterance that is short, where the model is not sure, the session's language is
        `remembered`, if it has one that is allowed.
        """
        allowed = [
            (language, probability)
            for language, probability in probabilities
            if not self._allowed or language in self._allowed
        ]
        total = sum(probability for _, probability in allowed) or 1.0
        language, probability = max(allowed, key=lambda found: found[1])
        probability /= total
        if probability >= SURE or voiced_s >= SHORT_S:
            return Found(language, probability, sure=True)
        of_session = dict(allowed).get(remembered)
        if of_session is None:
            return Found(language, probability, sure=False)
        return Found(remembered, of_session / total, sure=False)

    def _read(self, hint: str) -> str:
        try:
            code = language_code(hint)
        except ValueError as error:
            self._warn(hint, str(error))
            return ""
        if not code:
            return ""
        found = nearest(code, self._known)
        if not found:
            self._warn(hint, f"the model {self._model} knows only {', '.join(self._known)}")
        elif self._allowed and found not in self._allowed:
            self._warn(
                hint, f"{variable_of('stt.languages')} allows only {', '.join(self._allowed)}"
            )
            return ""
        return found

    def _warn(self, hint: str, why: str) -> None:
        if self._warned.is_first(hint):
            log.warning("language_hint_not_used", hint=hint, why=why)

    def _check(self, setting: str, language: str) -> str:
        found = nearest(language, self._known) if language else ""
        if language and not found:
            raise BadSetting(
                f"{variable_of(setting)} is {language!r}, which the model {self._model} does not"
                f" know: it takes {', '.join(self._known)}, or nothing"
                + (" (models without .en in their name know more)" if len(self._known) == 1 else "")
            )
        return found
