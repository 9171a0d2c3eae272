"""The schema version of entries and events, `v`: what to do with one that is not ours.

New fields may come without a new version, and are ignored by who does not know them. A new version
says that the old way of reading would misread: it is read by newer programs only.
"""

import re

from common.errors import BadEntry, NewerSchema


def check_version(what: str, version: str, known: int) -> None:
    """Raises NewerSchema or BadEntry, with a sentence, unless `version` is `known`."""
    if version == str(known):
        return
    if re.fullmatch(r"[1-9][0-9]{0,8}", version) and int(version) > known:
        raise NewerSchema(
            f"{what} has schema version {version}, and this program reads {known}: upgrade it"
        )
    raise BadEntry(f"{what} has schema version {version[:20]!r}, and this program reads {known}")
