"""The check of schema versions, and the sentence for a value that pydantic refuses.

New fields may come without a new schema version; a reader ignores those that it does not know. A
new version means that an older reader would misread the entry, so only newer programs read it.
"""

import re

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
    raise BadEntry(f"{what} has schema version {version[:20]!r}, and this program reads {known}")


def explain(error: ValidationError) -> str:
    """Return the first thing that is wrong as `field: what`, with the start of the value only."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "content"
    value = repr(first["input"])[:60]
    return f"field {where} is not usable: {first['msg'][:200]} (it is {value})"
