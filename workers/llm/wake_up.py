"""Entries of the stream of turns: each names a session that has something to answer."""

from collections.abc import Mapping
from typing import Final

from common.keys import check_session_id
from common.validation import check_version

SCHEMA: Final = 1


def session_of(fields: Mapping[bytes, bytes]) -> str:
    """The session that a wake-up names; raises BadEntry with what is wrong with it."""
    version = fields.get(b"v", b"missing").decode("utf-8", "replace")
    check_version("the wake-up", version, SCHEMA)
    return named_session(fields)


def named_session(fields: Mapping[bytes, bytes]) -> str:
    """The same, whatever else may be wrong with it."""
    return check_session_id(fields.get(b"session", b"").decode("utf-8", "replace"))
