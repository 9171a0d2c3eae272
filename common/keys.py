"""The names of all keys that earshot keeps in Redis, and the shard of a session.

The braces are part of the key: they are hash tags of Redis Cluster. All keys of one shard lie in
one slot, so that one script may use them together.
"""

import re
import zlib
from dataclasses import dataclass
from typing import Final

from common.errors import BadEntry

SESSION_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
UTTERANCE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")

STT_GROUP: Final = "stt"
LLM_GROUP: Final = "llm"
HANDED_BACK: Final = "handed-back"
"""The consumer that holds entries which a worker handed back.

Any worker may take them from it at once, without waiting for `claim_idle_s`."""
DEFERRED: Final = "deferred"
"""The consumer that holds entries which failed, until they may be tried again."""
NOBODY: Final = frozenset({HANDED_BACK, DEFERRED})
"""The consumers that are no workers."""

WORKERS: Final = "earshot:workers"
SHARDS: Final = "earshot:shards"


def worker_key(name: str) -> str:
    """Return the key of a worker's record."""
    return f"earshot:worker:{name}"


def check_session_id(session: str) -> str:
    """Return `session`; raise BadEntry if it is no session id."""
    if not SESSION_ID.match(session):
        raise BadEntry(
            f"session id {session[:80]!r} is not usable: it takes 1 to 64 characters"
            " out of A-Z a-z 0-9 . _ -"
        )
    return session


def shard_number(session: str, shards: int) -> int:
    """Return the shard of a session: CRC-32 of the id in UTF-8, modulo the number of shards."""
    return zlib.crc32(session.encode()) % shards


@dataclass(frozen=True, slots=True)
class Shard:
    """The keys of one shard."""

    number: int

    def _key(self, name: str) -> str:
        return f"earshot:{{{self.number}}}:{name}"

    @property
    def utterances(self) -> str:
        return self._key("utterances")

    @property
    def recordings(self) -> str:
        return self._key("recordings")

    @property
    def turns(self) -> str:
        return self._key("turns")

    @property
    def results(self) -> str:
        return self._key("results")

    @property
    def deltas(self) -> str:
        return self._key("deltas")

    @property
    def dead(self) -> str:
        return self._key("dead")

    @property
    def letters(self) -> dict[str, str]:
        """The keys of scripts that write or delete dead letters, by their names in
        `lua/letters.lua`."""
        return {
            "dead": self.dead,
            "dead_sizes": self._key("dead:sizes"),
            "dead_bytes": self._key("dead:bytes"),
        }

    @property
    def open(self) -> str:
        return self._key("open")

    @property
    def quarantine(self) -> str:
        return self._key("quarantine")

    def session(self, session: str) -> str:
        return self._key(f"session:{session}")

    def inbox(self, session: str) -> str:
        return self._key(f"inbox:{session}")

    def history(self, session: str) -> str:
        return self._key(f"history:{session}")

    def seen(self, utterance: str) -> str:
        return self._key(f"seen:{utterance}")

    def session_keys(self, session: str) -> dict[str, str]:
        """Return the keys of scripts that use a session, by their names in `lua/session.lua`."""
        return {
            "SESSION": self.session(session),
            "INBOX": self.inbox(session),
            "HISTORY": self.history(session),
            "OPEN": self.open,
            "TURNS": self.turns,
            "RESULTS": self.results,
        }


def shard_for(session: str, shards: int) -> Shard:
    """Return the keys of the shard that a session lies on."""
    return Shard(shard_number(session, shards))
