"""What a transition did to turns, reported to the process that ran it.

A script's answer ends with its changes (`lua/session.lua`). So metrics and spans are made once, by
the process that made the change, from the Redis server's own times.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

What = Literal[
    "heard", "transcript", "skipped", "reply", "error", "published", "committed", "transcribed"
]
"""The first five: an event of common.events was emitted. `published`, `committed`: an utterance is
final in Redis, whole or by a commit. `transcribed`: an STT worker is done with an utterance,
whether or not its transcript may be shown yet."""

TAG: Final = b"changes"


@dataclass(frozen=True, slots=True)
class TurnChange:
    """One thing that happened to one turn.

    `at` and the stages are ms of the Redis server's clock, None where the turn has not been there;
    `spoken` is the end of speech. `length_ms` is how long the speech took, with its pre-roll,
    `silence_ms` how long the producer waited after it; `usage` counts tokens.
    """

    what: What
    session: str
    turn: int
    utterance: str
    at: int
    spoken: int
    published: int
    stt_started: int | None = None
    transcribed: int | None = None
    committed: int | None = None
    llm_started: int | None = None
    first_token: int | None = None
    last_token: int | None = None
    attempt: int = 0
    length_ms: int = 0
    silence_ms: int = 0
    traceparent: str = ""
    reason: str = ""
    into: int | None = None
    usage: Mapping[str, int] | None = None

    @property
    def ready(self) -> int:
        """When it could be answered: transcribed, and its end certain."""
        return max(self.transcribed or self.published, self.committed or 0)


Listener = Callable[[Sequence[TurnChange]], None]

_FIELDS: Final = frozenset(field.name for field in fields(TurnChange))


def ignore_changes(changes: Sequence[TurnChange]) -> None:
    """Do nothing: the listener of a process that counts nothing."""


def split_changes(answer: list[Any], session: str) -> tuple[list[Any], list[TurnChange]]:
    """Split the answer of a script into the answer proper and its turn changes."""
    last = answer[-1] if answer else None
    if not (isinstance(last, list) and last and last[0] == TAG):
        return answer, []
    changes = [_change(json.loads(raw), session) for raw in last[1:]]
    return answer[:-1], changes


def _change(values: Mapping[str, Any], session: str) -> TurnChange:
    known = {name: value for name, value in values.items() if name in _FIELDS and value is not None}
    return TurnChange(session=session, **known)
