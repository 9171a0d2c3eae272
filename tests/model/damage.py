"""Random damage to the keys of a session: what another program, a bug or a worn disk may leave."""

import json
import random
from collections.abc import Callable
from typing import Any, Final

from tests.model.direct_redis import DirectRedis
from tests.model.simulation import SHARD

WEIRD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1.5, 1e300, -1e300, 2**53, 2**63, 10**30),
    *(float("inf"), float("nan")),
    *("", "x", "nan", "inf", "-inf", "0x10", "1e5", " 7 ", "-3", "9" * 400, "\0", "\ud83d", "é€😀"),
    *("0-0", "1-1", "99999999999999999999-1", "5-", "-"),
    *([], {}, [1, [2, [3]]], {"a": {"b": None}}, [None] * 50),
)
TEXTS: Final[tuple[bytes, ...]] = (
    *(b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"garbage", b"[]", b"null", b"{", b'{"id":1}'),
    *(b"[" * 3_000, b'{"id":"x","spoken":NaN}', b"1e999", b"9" * 400, b"-5", b"many"),
)
FIELDS: Final = (
    *("id", "rev", "final", "touched", "spoken", "published", "text", "skip", "error", "detail"),
    *("entry", "stream", "answer", "interrupt", "speech_ms", "persona", "committed", "unknown"),
    *("id", "text", "skip", "error", "detail", "persona"),  # these twice as often
)
NOTHING: Final = "no"
MOST_TRIES: Final = 4
COUNTERS: Final = (
    *("epoch", "last", "done", "taken", "wake", "token", "attempt", "started", "reached"),
    "persona",
)


class Damage:
    """Damages keys of one session after another. `redis` is the model's client.

    `utterance_of` names an utterance of a session.
    """

    def __init__(
        self,
        redis: DirectRedis,
        rng: random.Random,
        utterance_of: Callable[[str], str] = "{}.1".format,
    ) -> None:
        self.do = redis.do
        self.rng = rng
        self.utterance_of = utterance_of
        self.kinds: tuple[Callable[[str], str], ...] = (
            *(self.change_field,) * 6,
            *(self.flip_bytes, self.replace_record),
            *(self.break_unicode, self.add_unwritable),
            *(self.change_counter, self.change_counter, self.remove_record, self.raise_last),
            *(self.replace_key, self.replace_key, self.replace_key),
            *(self.change_message, self.change_time, self.forget_turn_numbers, self.change_seen),
            *(self.add_member, self.add_entry, self.add_entry, self.note_in_quarantine),
        )

    def inflict(self, session: str) -> str:
        """Damage something of this session; say what."""
        for _ in range(MOST_TRIES):
            done = self.rng.choice(self.kinds)(session)
            if not done.startswith(NOTHING):
                break
        return f"{session}: {done}"

    def some_bytes(self) -> bytes:
        rng = self.rng
        return rng.choice((rng.randbytes(rng.randint(1, 60)), rng.choice(TEXTS)))

    def record(self, session: str) -> tuple[bytes, bytes] | None:
        """Any turn of the session with its record."""
        if self.do("TYPE", SHARD.inbox(session)) != b"hash":
            return None
        flat = self.do("HGETALL", SHARD.inbox(session))
        found = list(zip(flat[::2], flat[1::2], strict=True))
        return self.rng.choice(found) if found else None

    def put(self, session: str, turn: bytes, record: bytes) -> str:
        self.do("HSET", SHARD.inbox(session), turn, record)
        return f"record {turn!r} is {record[:80]!r}"

    def change_field(self, session: str) -> str:
        if (found := self.record(session)) is None:
            return "no record"
        try:
            record = json.loads(found[1])
        except (ValueError, RecursionError):
            record = {}
        if not isinstance(record, dict):
            record = {}
        field, value = self.rng.choice(FIELDS), self.rng.choice(WEIRD)
        if self.rng.random() < 0.3:
            record.pop(field, None)
        else:
            record[field] = value
        return self.put(session, found[0], json.dumps(record).encode())

    def flip_bytes(self, session: str) -> str:
        if (found := self.record(session)) is None or not found[1]:
            return "no record"
        raw = bytearray(found[1])
        for _ in range(self.rng.randint(1, 3)):
            raw[self.rng.randrange(len(raw))] ^= 1 << self.rng.randrange(8)
        if self.rng.random() < 0.2:
            del raw[self.rng.randrange(len(raw)) :]
        return self.put(session, found[0], bytes(raw))

    def break_unicode(self, session: str) -> str:
        if (found := self.record(session)) is None:
            return "no record"
        return self.put(session, found[0], found[1].replace(b':"', b':"\xff', 2))

    def add_unwritable(self, session: str) -> str:
        """JSON that a parser takes and no writer writes."""
        if (found := self.record(session)) is None or not found[1].endswith(b"}"):
            return "no record"
        value = self.rng.choice((b"1e999", b"NaN", b"[" * 990 + b"]" * 990))
        return self.put(session, found[0], found[1][:-1] + b',"unknown":' + value + b"}")

    def replace_record(self, session: str) -> str:
        if (found := self.record(session)) is None:
            return "no record"
        return self.put(session, found[0], self.some_bytes())

    def remove_record(self, session: str) -> str:
        if (found := self.record(session)) is None:
            return "no record"
        self.do("HDEL", SHARD.inbox(session), found[0])
        return f"record {found[0]!r} is gone"

    def change_counter(self, session: str) -> str:
        if self.do("TYPE", SHARD.session(session)) not in (b"hash", b"none"):
            return "no session"
        field = self.rng.choice(COUNTERS)
        if self.rng.random() < 0.2:
            self.do("HDEL", SHARD.session(session), field)
            return f"{field} is gone"
        value = self.rng.choice((self.some_bytes(), str(self.rng.randint(0, 9)).encode()))
        self.do("HSET", SHARD.session(session), field, value)
        return f"{field} is {value[:40]!r}"

    def raise_last(self, session: str) -> str:
        """As if very many turns were unfinished."""
        if self.do("TYPE", SHARD.session(session)) not in (b"hash", b"none"):
            return "no session"
        last = self.rng.choice((3_000, 8_000))
        self.do("HSET", SHARD.session(session), "last", last)
        return f"last is {last}"

    def replace_key(self, session: str) -> str:
        keys = (SHARD.session(session), SHARD.inbox(session), SHARD.history(session))
        key = self.rng.choice(keys)
        self.do("DEL", key)
        if self.rng.random() < 0.3:
            return f"{key} is gone"
        self.do(*self.rng.choice((("SET", key, "x"), ("SADD", key, "x"), ("RPUSH", key, "x"))))
        return f"{key} is foreign"

    def change_message(self, session: str) -> str:
        if self.do("TYPE", SHARD.history(session)) not in (b"list", b"none"):
            return "no history"
        self.do("RPUSH", SHARD.history(session), message := self.some_bytes())
        return f"message {message[:40]!r}"

    def change_time(self, session: str) -> str:
        score = self.rng.choice(("inf", "-inf", "1e300", "-5", "3e12"))
        if self.do("ZSCORE", SHARD.open, session) is None:
            return "no time"
        self.do("ZADD", SHARD.open, score, session)
        return f"due at {score}"

    def forget_turn_numbers(self, session: str) -> str:
        if self.do("TYPE", SHARD.inbox(session)) not in (b"hash", b"none"):
            return "no inbox"
        self.do("HSET", SHARD.inbox(session), self.some_bytes() or b"0", self.some_bytes())
        return "a record without a turn"

    def change_seen(self, session: str) -> str:
        utterance = self.utterance_of(session)
        self.do("SET", SHARD.seen(utterance), self.some_bytes(), "XX", "KEEPTTL")
        return f"seen {utterance}"

    def add_member(self, session: str) -> str:
        member = self.some_bytes()
        self.do("ZADD", SHARD.open, self.rng.choice(("0", "-inf", "inf")), member)
        return f"{member[:40]!r} is open"

    def add_entry(self, session: str) -> str:
        stream = self.rng.choice((SHARD.utterances, SHARD.recordings, SHARD.turns))
        fields: list[bytes] = []
        for name in ("v", "id", "session", "turn", "audio"):
            if self.rng.random() < 0.7:
                value = session.encode() if name == "session" else self.some_bytes()
                fields += [name.encode(), value]
        self.do("XADD", stream, "*", *(fields or [b"a", b"b"]))
        return f"an entry in {stream}"

    def note_in_quarantine(self, session: str) -> str:
        if self.do("TYPE", SHARD.quarantine) not in (b"hash", b"none"):
            return "no quarantine"
        self.do(
            "HSET", SHARD.quarantine, self.rng.choice((session.encode(), self.some_bytes())), "why"
        )
        return "in quarantine"
