"""The language of a sound is found out, among those that are allowed, and for one pass of the
encoder."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from common.settings import SttSettings
from tests.real.test_short_words import say
from tests.real.weights import FOLDER
from workers.stt.engine import Hints
from workers.stt.whisper import Whisper, load

SENTENCE = "What time is it in Berlin?"

needs_flite = pytest.mark.skipif(
    not shutil.which("flite"), reason="no synthetic voice: install flite"
)


class CountedEncoder:
    """Encodes as `encode` does, and counts."""

    def __init__(self, encode: Callable[[Any], Any]) -> None:
        self._encode = encode
        self.calls = 0

    def __call__(self, features: Any) -> Any:
        self.calls += 1
        return self._encode(features)


@needs_flite
def test_a_sound_is_encoded_once_to_find_its_language_and_its_text(
    whisper: Whisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = CountedEncoder(whisper._model.encode._encode)
    monkeypatch.setattr(whisper._model.encode, "_encode", encoder)
    heard = whisper.transcribe(say(SENTENCE, "flite", "slt"))
    assert (heard.language, encoder.calls) == ("en", 1)
    assert "Berlin" in heard.text


@needs_flite
def test_only_languages_that_are_allowed_are_found_and_the_sessions_is_kept() -> None:
    allowed = load(SttSettings(model=str(FOLDER), languages="German, fr"))
    word = say("Yes.", "flite", "slt")
    assert allowed.transcribe(word).language in {"de", "fr"}
    assert allowed.transcribe(word, Hints(remembered="fr")).language == "fr"
    assert allowed.transcribe(word, Hints(remembered="de")).language == "de"
