"""Reading the dead letters: utterances and turns that were buried."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE, check_audio, decode
from common.entry_id import LAST_ID, OLDEST, is_entry_id, sort_key
from common.errors import BadAudio, BadInput, Refused
from common.keys import SESSION_ID, Shard
from common.redis.script import Script
from common.redis.store import Store
from common.settings import LimitSettings

BATCH: Final = 100
"""Letters for each reading, at most."""

READ_BYTES: Final = 16 * 2**20
"""Bytes of letters that a reading goes through before it lets Redis serve others."""

SHOWN: Final = (
    "session", "turn", "id", "stage", "reason", "error", "deliveries", "worker", "at",
    "text", "source", "replay_of", "codec", "rate", "samples", "speech_ms",
    "left_out",
)  # fmt: skip
"""The fields of a letter that a person wants to see."""

NUMBERS: Final = ("turn", "deliveries", "at", "samples", "speech_ms", "rate")
LONGEST: Final = 1_000
"""Characters that are shown of each field."""

UTF8_MAX: Final = 4
"""Bytes of a character, at most (RFC 3629)."""

LIST: Final = Script("list_letters")


@dataclass(frozen=True, slots=True)
class LetterSummary:
    """One entry of a `dead` stream without its audio, unchecked: it may be malformed.

    `fields` holds the beginning of the fields in SHOWN.
    """

    shard: Shard
    entry: str
    fields: Mapping[str, bytes]
    audio_bytes: int

    def text(self, name: str) -> str:
        """Return a field as text; empty if there is none."""
        return self.fields.get(name, b"").decode("utf-8", "replace")

    def as_dict(self) -> dict[str, Any]:
        """Return what a person wants to know, for JSON."""
        shown: dict[str, Any] = {"letter": self.entry}
        shown |= {name: self.text(name)[:LONGEST] for name in SHOWN if self.fields.get(name)}
        for name in NUMBERS:
            if re.fullmatch(r"[0-9]{1,19}", str(shown.get(name, ""))):
                shown[name] = int(shown[name])
        shown["audio_bytes"] = self.audio_bytes
        return shown


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One entry of a `dead` stream, unchecked: it may be malformed, and be there for that."""

    shard: Shard
    entry: str
    fields: Mapping[str, bytes]

    def text(self, name: str) -> str:
        """Return a field as text; empty if there is none."""
        return self.fields.get(name, b"").decode("utf-8", "replace")

    @property
    def session(self) -> str:
        """The session id if it is usable, else empty."""
        session = self.text("session")
        return session if SESSION_ID.match(session) else ""

    def check_audio(self, limits: LimitSettings) -> None:
        """Raise Refused if a worker could never decode this audio under these limits."""
        try:
            check_audio(
                self.fields.get("audio", b""),
                self.text("codec"),
                _whole(self.text("rate")),
                _whole(self.text("samples")),
                max_samples=round(limits.max_audio_s * SAMPLE_RATE),
            )
        except BadAudio as error:
            raise Refused(f"{error}; this letter can only be saved or dropped") from None

    def samples(self, max_samples: int) -> NDArray[np.int16]:
        """Return the audio; raises BadInput if there is none or it cannot be decoded."""
        if not self.fields.get("audio"):
            raise BadInput(f"dead letter {self.entry} holds no audio")
        try:
            return decode(
                self.fields["audio"],
                self.text("codec"),
                _whole(self.text("rate")),
                _whole(self.text("samples")),
                max_samples=max_samples,
            )
        except BadAudio as error:
            raise BadInput(f"the audio of {self.entry} cannot be saved: {error}") from None

    def summary(self) -> dict[str, Any]:
        """Return what a person wants to know, without the audio."""
        audio_bytes = len(self.fields.get("audio", b""))
        return LetterSummary(self.shard, self.entry, self.fields, audio_bytes).as_dict()


async def list_letters(store: Store, reason: str | None = None) -> AsyncIterator[LetterSummary]:
    """Yield every dead letter, or those with one `reason`, the oldest of each shard first."""
    for shard in store.all_shards():
        first = "-"
        while letters := await _list(store, shard, first=first):
            for letter in letters:
                if reason is None or letter.text("reason") == reason:
                    yield letter
            if letters[-1].entry == LAST_ID:
                break
            first = f"({letters[-1].entry}"


async def list_latest_letters(store: Store, before: str | None, limit: int) -> list[LetterSummary]:
    """Return the newest dead letters of all shards, the newest first.

    With `before`, only those that are older than this entry; raises BadInput if it is no entry id.
    """
    if before is not None and not is_entry_id(before):
        raise BadInput(f"{before!r} is no id of a dead letter")
    if before is not None and sort_key(before) == sort_key(OLDEST):
        return []
    last = f"({before}" if before else LAST_ID
    letters = []
    for shard in store.all_shards():
        letters += await _list_latest(store, shard, last, limit)
    return sorted(letters, key=lambda letter: sort_key(letter.entry), reverse=True)[:limit]


async def _list_latest(store: Store, shard: Shard, last: str, limit: int) -> list[LetterSummary]:
    letters: list[LetterSummary] = []
    while more := await _list(
        store, shard, last=last, most=limit - len(letters), is_newest_first=True
    ):
        letters += more
        last = f"({more[-1].entry}"
    return letters


async def _list(
    store: Store,
    shard: Shard,
    *,
    first: str = "-",
    last: str = LAST_ID,
    most: int = BATCH,
    is_newest_first: bool = False,
) -> list[LetterSummary]:
    rows = await LIST(
        store.redis,
        {"dead": shard.dead},
        first=first,
        last=last,
        most=most,
        is_newest_first=is_newest_first,
        most_bytes=READ_BYTES,
        longest=LONGEST * UTF8_MAX,
        names=SHOWN,
    )
    return [
        LetterSummary(shard, entry.decode(), dict(zip(SHOWN, values, strict=True)), audio_bytes)
        for entry, audio_bytes, *values in rows
    ]


async def find_dead_letter(store: Store, entry: str, shard: int | None = None) -> DeadLetter:
    """Return one dead letter, of one shard if that is given; raises BadInput if there is none."""
    redis: Any = store.redis
    if is_entry_id(entry):
        for one in store.all_shards():
            if shard not in (None, one.number):
                continue
            for found, fields in await redis.xrange(one.dead, entry, entry, 1):
                return _letter(one, found, fields)
    raise BadInput(f"there is no dead letter {entry!r}: `earshot dead list` shows those there are")


def _whole(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else 0


def _letter(shard: Shard, entry: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    named = {name.decode("utf-8", "replace"): value for name, value in fields.items()}
    return DeadLetter(shard, entry.decode(), named)
