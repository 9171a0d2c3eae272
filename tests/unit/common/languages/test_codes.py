"""A language may be called by any of its usual codes and names; what is none is refused with the
list."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from common.languages.codes import all_codes, language_code, language_codes, nearest
from common.settings import ListenSettings, SttSettings
from ops.jobs.transcribe.request import Request

NAMES = {
    "en": [
        "en",
        "EN",
        "en-GB",
        "en_US",
        "en_US.UTF-8",
        "eng",
        "English",
        " english ",
        "en-Latn-US-x-y",
    ],
    "de": ["de", "de_DE@euro", "de-CH-1996", "ger", "deu", "Deutsch", "GERMAN"],
    "no": ["no", "nb", "nob", "nor", "nb-NO", "Norwegian", "norsk bokmål", "Bokmal"],
    "nn": ["nn", "nn_NO", "Nynorsk"],
    "he": ["he", "iw", "heb", "iw_IL", "Hebrew"],
    "id": ["id", "in", "ind", "Bahasa Indonesia"],
    "yi": ["yi", "ji", "Yiddish"],
    "jw": ["jw", "jv", "jav", "Javanese"],
    "tl": ["tl", "fil", "fil-PH", "Filipino", "Tagalog"],
    "zh": ["zh", "cmn", "zh-Hant-TW", "zh_CN", "cmn-Hans", "Mandarin", "中文"],
    "yue": ["yue", "zh-yue", "zh-HK", "Cantonese"],
    "ro": ["ro", "mo", "Moldovan"],
    "pt": ["pt", "pt-BR", "Portuguese", "Português", "portugues"],
    "sr": ["sr-Latn", "sh", "српски"],
    "fr": ["Français", "FRANCAIS", "fre"],
    "": ["", " ", "auto", "AUTO", "und"],
}


def field_of(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Check one field as the model does."""
    field = model.model_fields[name]
    kind: Any = Annotated[field.annotation, *field.metadata]
    return TypeAdapter(kind)


@pytest.mark.parametrize(("code", "name"), [(code, name) for code in NAMES for name in NAMES[code]])
def test_a_language_has_one_code_whatever_it_is_called(code: str, name: str) -> None:
    assert language_code(name) == code


@pytest.mark.parametrize(
    "name", ["tlh", "klingon", "english german", "e", "C", "xx-YY", "en\x00", "x" * 5_000]
)
def test_what_is_no_language_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(ValueError, match=r"af, am, .*yue, zh") as caught:
        language_code(name)
    assert len(str(caught.value)) < 1_000


def test_no_name_means_two_languages() -> None:
    assert len(all_codes()) == 100
    for code in all_codes():
        assert language_code(code) == code


def test_a_list_holds_each_language_once() -> None:
    assert language_codes("German, en_GB,de,,") == "de,en"
    assert language_codes("de en") == "de,en"
    assert language_codes("") == ""


def test_a_model_that_lacks_a_language_is_told_the_nearest() -> None:
    assert nearest("yue", ["en", "zh"]) == "zh"
    assert nearest("yue", ["yue", "zh"]) == "yue"
    assert nearest("de", ["en"]) == ""


def test_every_way_in_takes_names() -> None:
    assert ListenSettings(language="en_US").language == "en"
    assert SttSettings(language="Deutsch", languages="German,English").languages == "de,en"
    assert field_of(Request, "language").validate_python("pt-BR") == "pt"


@pytest.mark.parametrize(
    "settings", [{"language": "klingon"}, {"languages": "de,klingon"}, {"hotwords": "a\x00b"}]
)
def test_settings_refuse_what_is_no_language(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SttSettings(**settings)
