"""The names of everything earshot keeps in Redis, and which shard a session lives on.

The braces are Redis Cluster hash tags and stand in the key literally: all keys of one shard
lie in one slot, so that one script may touch them together.
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
# The consumer that entries are parked under when a worker gives them back: anybody may take
# them from it at once, without waiting for `claim_idle`.
HANDED_BACK: Final = "handed-back"

WORKERS: Final = "earshot:workers"
SHARDS: Final = "earshot:shards"


def worker_key(name: str) -> str:
    return f"earshot:worker:{name}"


def check_session_id(session: str) -> str:
    """Return `session`, or raise BadEntry with what a session id may be."""
    if not SESSION_ID.match(session):
        raise BadEntry(
            f"session id {session[:80]!r} is not usable: it takes 1 to 64 characters"
            " out of A-Z a-z 0-9 . _ -"
        )
    return session


def shard_of(session: str, shards: int) -> int:
    """The shard of a session: CRC-32 of the id in UTF-8, modulo the number of shards."""
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
    def open(self) -> str:
        return self._key("open")

    def session(self, session: str) -> str:
        return self._key(f"session:{session}")

    def inbox(self, session: str) -> str:
        return self._key(f"inbox:{session}")

    def history(self, session: str) -> str:
        return self._key(f"history:{session}")

    def seen(self, utterance: str) -> str:
        return self._key(f"seen:{utterance}")

    def of_session(self, session: str) -> dict[str, str]:
        """The keys of every script that touches a session, as `lua/session.lua` names them."""
        return {
            "SESSION": self.session(session),
            "INBOX": self.inbox(session),
            "HISTORY": self.history(session),
            "OPEN": self.open,
            "TURNS": self.turns,
            "RESULTS": self.results,
        }


def shard_for(session: str, shards: int) -> Shard:
    return Shard(shard_of(session, shards))
