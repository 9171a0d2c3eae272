"""The language of an utterance: the producer's hint, the settings, the model among those that are
allowed, and the session where a short utterance leaves the model in doubt.
"""

from typing import Any

import pytest
from structlog.testing import capture_logs

from common.errors import BadSetting
from common.settings import SttSettings
from workers.stt.spoken_language import Found, SpokenLanguage

KNOWN = ("de", "en", "fr", "no", "nn", "zh")
UNSURE = (("fr", 0.5), ("en", 0.3), ("de", 0.2))
SURE = (("fr", 0.9), ("en", 0.06), ("de", 0.04))


def choice(known: tuple[str, ...] = KNOWN, **settings: Any) -> SpokenLanguage:
    return SpokenLanguage(known, SttSettings(**settings), "base")


def find(
    found: tuple[tuple[str, float], ...],
    remembered: str = "",
    voiced_s: float = 1.0,
    **settings: Any,
) -> Found:
    return choice(**settings).find(found, voiced_s=voiced_s, remembered=remembered)


@pytest.mark.parametrize(
    ("hint", "settings", "named"),
    [
        ("nb-NO", {}, "no"),
        ("zh-HK", {}, "zh"),
        ("German", {"language": "en"}, "de"),
        ("auto", {"language": "en"}, "en"),
        ("", {}, None),
        ("", {"languages": "de"}, "de"),
        ("", {"languages": "de,en"}, None),
        ("fr", {"languages": "de,en"}, None),
        ("fr", {"languages": "de"}, "de"),
        ("klingon", {"language": "en"}, "en"),
        ("it", {}, None),
    ],
)
def test_what_is_named_needs_no_finding_out(hint: str, settings: Any, named: str | None) -> None:
    assert choice(**settings).named(hint) == named


@pytest.mark.parametrize(
    ("known", "settings", "hint", "why"),
    [
        (("en",), {}, "de", "knows only en"),
        (KNOWN, {}, "klingon", "is no language that Whisper knows: it takes af, am"),
        (KNOWN, {}, "it", "knows only de, en, fr"),
        (KNOWN, {"languages": "de,en"}, "fr", "EARSHOT_STT__LANGUAGES allows only de, en"),
    ],
)
def test_a_hint_that_cannot_be_used_is_said_once_with_what_can(
    known: tuple[str, ...], settings: Any, hint: str, why: str
) -> None:
    languages = choice(known, **settings)
    with capture_logs() as logs:
        for _ in range(3):
            languages.named(hint)
    (told,) = logs
    assert (told["event"], told["log_level"], told["hint"]) == (
        "language_hint_not_used",
        "warning",
        hint,
    )
    assert why in told["why"]


def test_any_number_of_wrong_hints_fills_no_log() -> None:
    languages = choice()
    with capture_logs() as logs:
        for number in range(1_000):
            languages.named(f"wrong-{number}")
    assert 0 < len(logs) <= 100


def test_a_hint_of_its_own_language_is_not_mentioned() -> None:
    with capture_logs() as logs:
        assert choice(("en",)).named("en-GB") == "en"
    assert logs == []


def test_the_model_chooses_among_those_that_are_allowed() -> None:
    assert find(UNSURE).language == "fr"
    chosen = find(UNSURE, languages="de,en")
    assert chosen == Found("en", 0.6, sure=False)


def test_the_session_decides_where_the_model_is_not_sure_of_something_short() -> None:
    assert find(UNSURE, remembered="de") == Found("de", 0.2, sure=False)


def test_the_model_decides_where_it_is_sure_or_the_utterance_is_long() -> None:
    assert find(SURE, remembered="de") == Found("fr", 0.9, sure=True)
    assert find(UNSURE, remembered="de", voiced_s=4) == Found("fr", 0.5, sure=True)


@pytest.mark.parametrize("remembered", ["", "it", "nonsense", "de"])
def test_a_remembered_language_that_is_not_allowed_does_not_count(remembered: str) -> None:
    assert find(UNSURE, remembered=remembered, languages="fr,en").language == "fr"


def test_a_guess_is_not_remembered() -> None:
    assert not find(UNSURE).sure
    assert not find(UNSURE, remembered="de").sure


@pytest.mark.parametrize("settings", [{"language": "it"}, {"languages": "de,it"}])
def test_a_setting_that_the_model_does_not_know_is_refused(settings: Any) -> None:
    with pytest.raises(BadSetting, match=r"EARSHOT_STT__LANGUAGES? is 'it', .*de, en, fr"):
        choice(**settings)
