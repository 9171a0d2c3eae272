"""The dead letters: reading them, doing them again, letting them go."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from common.audio import decode
from common.errors import BadAudio, BadInput, Refused
from common.keys import SESSION_ID, Shard
from common.redis.store import Store
from common.transitions.dead_letters import drop, replay
from common.transitions.publishing import Published, Verdict
from producer.shipping.identity import new_utterance_id

BATCH: Final = 20  # letters carry their audio
ENTRY: Final = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One entry of a `dead` stream, as it is: it may be what made a worker stumble."""

    shard: Shard
    entry: str
    fields: Mapping[str, bytes]

    def text(self, name: str) -> str:
        return self.fields.get(name, b"").decode("utf-8", "replace")

    @property
    def place(self) -> tuple[int, int]:
        """The entry's id as numbers, by which letters of several shards are ordered."""
        milliseconds, _, sequence = self.entry.partition("-")
        return int(milliseconds), int(sequence or 0)

    @property
    def session(self) -> str:
        """The session if it is usable, else empty."""
        session = self.text("session")
        return session if SESSION_ID.match(session) else ""

    def samples(self, max_samples: int) -> NDArray[np.int16]:
        """The audio; raises BadInput if there is none or it cannot be decoded."""
        if not self.fields.get("audio"):
            raise BadInput(f"dead letter {self.entry} holds no audio")
        try:
            return decode(
                self.fields["audio"],
                self.text("codec"),
                int(self.text("rate") or 0),
                int(self.text("samples") or 0),
                max_samples=max_samples,
            )
        except (BadAudio, ValueError) as error:
            raise BadInput(f"the audio of {self.entry} cannot be saved: {error}") from None

    def summary(self) -> dict[str, Any]:
        """What a person wants to know, without the audio."""
        names = (
            "session", "turn", "id", "stage", "reason", "error", "deliveries", "worker", "at",
            "text", "source", "replay_of", "codec", "rate", "samples", "speech_ms",
        )  # fmt: skip
        shown: dict[str, Any] = {"letter": self.entry}
        shown |= {name: self.text(name)[:1_000] for name in names if self.fields.get(name)}
        for name in ("turn", "deliveries", "at", "samples", "speech_ms", "rate"):
            if re.fullmatch(r"[0-9]{1,19}", str(shown.get(name, ""))):
                shown[name] = int(shown[name])
        shown["audio_bytes"] = len(self.fields.get("audio", b""))
        return shown


def _letter(shard: Shard, entry: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    named = {name.decode("utf-8", "replace"): value for name, value in fields.items()}
    return DeadLetter(shard, entry.decode(), named)


async def dead_letters(store: Store, reason: str | None = None) -> AsyncIterator[DeadLetter]:
    """Every dead letter, oldest first in each shard."""
    redis: Any = store.redis
    for shard in store.all_shards():
        start = "-"
        while rows := await redis.xrange(shard.dead, start, "+", BATCH):
            for entry, fields in rows:
                letter = _letter(shard, entry, fields)
                if reason is None or letter.text("reason") == reason:
                    yield letter
            start = f"({rows[-1][0].decode()}"


async def latest_letters(store: Store, before: str | None, limit: int) -> list[DeadLetter]:
    """The newest dead letters of all shards, newest first; older than the entry `before` if given.

    Raises BadInput if `before` is no entry id.
    """
    if before is not None and not ENTRY.fullmatch(before):
        raise BadInput(f"{before!r} is no id of a dead letter")
    redis: Any = store.redis
    letters = []
    for shard in store.all_shards():
        rows = await redis.xrevrange(shard.dead, f"({before}" if before else "+", "-", limit)
        letters += [_letter(shard, entry, fields) for entry, fields in rows]
    return sorted(letters, key=lambda letter: letter.place, reverse=True)[:limit]


async def find_letter(store: Store, entry: str, shard: int | None = None) -> DeadLetter:
    """One dead letter, of one shard if that is given; raises BadInput if there is none."""
    redis: Any = store.redis
    if ENTRY.fullmatch(entry):
        for one in store.all_shards():
            if shard not in (None, one.number):
                continue
            for found, fields in await redis.xrange(one.dead, entry, entry, 1):
                return _letter(one, found, fields)
    raise BadInput(f"there is no dead letter {entry!r}: `earshot dead list` shows those there are")


async def send_again(store: Store, letter: DeadLetter) -> Published | None:
    """Send it again as a new turn at the end of its session; None if it is gone.

    Raises Refused if it cannot be replayed.
    """
    if not letter.session:
        raise Refused("it names no usable session; it can only be saved or dropped")
    return await replay(
        store, letter.shard, letter.entry, session=letter.session, utterance=new_utterance_id()
    )


async def replay_letter(store: Store, letter: DeadLetter) -> str:
    """Send it again; says as which turn. Raises BadInput or Refused if that cannot be."""
    answer = await send_again(store, letter)
    if answer is None:
        raise BadInput("it is gone: somebody else replayed or dropped it")
    if answer.verdict is not Verdict.ACCEPTED:
        raise BadInput(f"not now: {answer.why}")
    return f"replayed as turn {answer.turn} of session {letter.session}"


async def drop_letter(store: Store, letter: DeadLetter) -> str:
    """Delete it for good; raises BadInput if it is gone."""
    if not await drop(store, letter.shard, letter.entry):
        raise BadInput("it is gone: somebody else replayed or dropped it")
    return "dropped"
