"""Whisper's codes of languages, by all their usual names: `names.toml`."""

import re
import tomllib
import unicodedata
from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Final

from pydantic import AfterValidator

FIND_OUT: Final = ("", "auto", "detect", "und", "mul")
"""The model finds out: no language, or what programs write for "unknown" and "several" (ISO
639-2)."""

TAG: Final = re.compile(r"(?P<code>[a-z]{2,3})(?P<more>[-_.@][a-z0-9_.@-]*)?", re.IGNORECASE)
"""A language tag (BCP 47: `zh-Hant-TW`) or a locale (`en_US.UTF-8`): what counts is its first
part."""

CANTONESE: Final = re.compile(r"zh[-_](yue|hk|hant[-_]hk|mo|hant[-_]mo)\b", re.IGNORECASE)
"""`zh-yue` is an older tag of Cantonese (RFC 5646). Hong Kong and Macao are places where it is
spoken."""

SPOKEN_ALIKE: Final = {"yue": "zh", "nn": "no", "no": "nn", "bs": "hr", "hr": "sr"}
"""What a model is told that does not know a language: the nearest one that it may know."""

MOST_SHOWN: Final = 120


def language_code(name: str) -> str:
    """Return Whisper's code of a language: `en` for `en-GB`, `en_US.UTF-8`, `eng` and `English`.

    Empty for what means that the model finds out. Raises ValueError, with the list, for any other
    name.
    """
    asked = name.strip()
    if asked.casefold() in FIND_OUT:
        return ""
    codes = _codes_by_name()
    code = codes.get(_plain(asked))
    if code is None and (tag := TAG.fullmatch(asked)):
        code = "yue" if CANTONESE.match(asked) else codes.get(tag["code"].casefold())
    if code is None:
        shown = repr(asked[:MOST_SHOWN])
        raise ValueError(
            f"{shown} is no language that Whisper knows: it takes {', '.join(all_codes())},"
            " or their names"
        )
    return code


def language_codes(names: str) -> str:
    """Return the codes of languages that commas or blanks separate, as `de,en`; raises
    ValueError."""
    parts = names.split(",") if "," in names else names.split()
    codes = [language_code(part) for part in parts if part.strip()]
    return ",".join(dict.fromkeys(filter(None, codes)))


def nearest(code: str, known: Collection[str]) -> str:
    """Return the language itself if a model knows it, else the nearest that it knows, or
    nothing."""
    if code in known:
        return code
    near = SPOKEN_ALIKE.get(code, "")
    return near if near in known else ""


def all_codes() -> tuple[str, ...]:
    """Return the codes of Whisper's languages, in alphabetical order."""
    return tuple(sorted(_load()))


Language = Annotated[str, AfterValidator(language_code)]
Languages = Annotated[str, AfterValidator(language_codes)]


def _plain(name: str) -> str:
    # without accents, which not every keyboard has
    letters = (
        c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c)
    )
    return " ".join("".join(letters).replace("_", " ").split())


@cache
def _load() -> Mapping[str, list[str]]:
    file = resources.files("common.languages") / "names.toml"
    found: dict[str, list[str]] = tomllib.loads(file.read_text(encoding="utf-8"))
    return found


@cache
def _codes_by_name() -> dict[str, str]:
    names = {_plain(name): code for code, names in _load().items() for name in names}
    return names | {code: code for code in _load()}
