"""The check of schema versions, and the sentence for a value that pydantic refuses.

New fields may come without a new schema version; a reader ignores those that it does not know. A
new version means that an older reader would misread the entry, so only newer programs read it.
"""

import re
from collections.abc import Sized
from typing import Any

from pydantic import ValidationError

from common.errors import BadEntry, NewerSchema


def check_version(what: str, version: str, known: int) -> None:
    """Raise NewerSchema or BadEntry, with a sentence, unless `version` is `known`."""
    if version == str(known):
        return
    if re.fullmatch(r"[1-9][0-9]{0,8}", version) and int(version) > known:
        raise NewerSchema(
            f"{what} has schema version {version}, and this program reads {known}: upgrade it"
        )
    is_harmless = re.fullmatch(r"[0-9.-]{1,20}|missing", version)
    shown = repr(version) if is_harmless else "that is no number"
    raise BadEntry(f"{what} has a schema version {shown}, and this program reads {known}")


def explain(error: ValidationError, *, shows_value: bool = False) -> str:
    """Return the first thing that is wrong as `field: what`, for logs and for people.

    A value may be what somebody said, so only its kind and size are told. `shows_value` adds its
    start, for files that an operator wrote.
    """
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"]) or "content"
    # the only message of pydantic's own that quotes the value
    is_tag = first["type"] == "union_tag_invalid"
    what = "it is of an unknown type" if is_tag else first["msg"][:200]
    value = repr(first["input"])[:60] if shows_value else _describe(first["input"])
    return f"field {where} is not usable: {what} (it is {value})"


def _describe(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, Sized):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
