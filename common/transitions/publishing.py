"""The producer's transitions: publish, commit, keep_open and abandon."""

import json
from dataclasses import dataclass
from enum import Enum
from typing import Final

from common.errors import BadAudio, Refused
from common.redis.script import Script
from common.redis.store import Store, ms
from common.settings import LimitSettings
from common.utterance import Utterance

PUBLISH: Final = Script("publish")
COMMIT: Final = Script("commit")
KEEP_OPEN: Final = Script("keep_open")
ABANDON: Final = Script("abandon")


class Verdict(Enum):
    """What became of a publish."""

    ACCEPTED = "accepted"
    REVISED = "revised"
    DUPLICATE = "duplicate"
    CLOSED = "closed"
    """The turn has ended or was committed: publish whole, under a new id."""
    FULL = "full"
    """Not now: the backlog or the session's unanswered turns are at their limit."""


@dataclass(frozen=True, slots=True)
class Published:
    """`turn` is 0 unless one was allotted; `why` is a sentence when the answer is FULL."""

    verdict: Verdict
    turn: int = 0
    why: str = ""


async def publish(store: Store, utterance: Utterance, *, recording: bool = False) -> Published:
    """Publish an utterance, once, however often it is sent.

    A text (`utterance.text`) in place of audio makes a turn that is ready at once. `recording`
    makes it wait behind live speech. Raises Refused if it can never be accepted, or its audio never
    be decoded.
    """
    check_utterance(store.limits, utterance)
    shard = store.shard(utterance.session)
    has_text = utterance.text is not None
    answer = await store.run(
        PUBLISH,
        utterance.session,
        utterance=utterance.id,
        revision=utterance.revision,
        final=utterance.final,
        hold_ms=utterance.hold_ms,
        seen_ttl_ms=ms(store.limits.seen_ttl_s),
        max_backlog=store.limits.max_backlog,
        max_unanswered=store.limits.max_unanswered,
        meta=json.dumps(utterance.for_later_stages()),
        stream_name="recordings" if recording else "utterances",
        has_text=has_text,
        text=utterance.text or "",
        fields=[] if has_text else utterance.to_fields(),
        keys={
            "stream": shard.recordings if recording else shard.utterances,
            "seen_key": shard.seen(utterance.id),
        },
    )
    return parse_published(answer)


def check_utterance(limits: LimitSettings, utterance: Utterance) -> None:
    """Raise Refused, with a sentence, for an utterance that no worker could ever work on."""
    if utterance.text is not None:
        _check_size(limits, len(utterance.text.encode()), "text")
        return
    from common.audio import SAMPLE_RATE, check_audio  # numpy, which whoever sends texts needs not

    _check_size(limits, len(utterance.audio), "audio")
    try:
        check_audio(
            utterance.audio,
            utterance.codec,
            utterance.rate,
            utterance.samples,
            max_samples=round(limits.max_audio_s * SAMPLE_RATE),
        )
    except BadAudio as error:
        raise Refused(str(error)) from None


def _check_size(limits: LimitSettings, size: int, kind: str) -> None:
    if size > limits.max_entry_bytes:
        raise Refused(
            f"the utterance has {size} bytes of {kind}, and"
            f" EARSHOT_LIMITS__MAX_ENTRY_BYTES is {limits.max_entry_bytes}"
        )


def parse_published(answer: list[bytes | int]) -> Published:
    """Parse the answer of `publish` and `replay`, which is the same."""
    verdict = Verdict(_text(answer[0]))
    if verdict is Verdict.FULL:
        return Published(verdict, why=_text(answer[1]))
    return Published(verdict, turn=int(answer[1]) if len(answer) > 1 else 0)


def _text(value: bytes | int) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class Commitment(Enum):
    """What became of a commit."""

    OK = "ok"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Committed:
    """`turn` is 0 unless the outcome is OK."""

    outcome: Commitment
    turn: int = 0


async def commit(store: Store, session: str, utterance: str, revision: int) -> Committed:
    """Make the waiting revision of an utterance final. Idempotent.

    CLOSED: the turn ended without it, publish whole under a new id. UNKNOWN: the revision never
    arrived, publish whole and final.
    """
    answer = await store.run(
        COMMIT,
        session,
        utterance=utterance,
        revision=revision,
        seen_ttl_ms=ms(store.limits.seen_ttl_s),
        keys={"seen_key": store.shard(session).seen(utterance)},
    )
    outcome = Commitment(answer[0].decode())
    return Committed(outcome, int(answer[1]) if outcome is Commitment.OK else 0)


async def keep_open(store: Store, session: str, utterance: str) -> bool:
    """Put off the expiry of a turn that is not final. Idempotent.

    Return False if there is no such turn; the next publish or commit finds out why.
    """
    answer = await store.run(
        KEEP_OPEN,
        session,
        utterance=utterance,
        keys={"seen_key": store.shard(session).seen(utterance)},
    )
    return bool(answer[0] == b"ok")


async def abandon(store: Store, session: str, utterance: str) -> bool:
    """End a turn that is not final and whose producer is dead, as `skipped: expired`. Idempotent.

    What is sent of that utterance afterwards is CLOSED. Return False if there was nothing to end.
    """
    shard = store.shard(session)
    answer = await store.run(
        ABANDON,
        session,
        utterance=utterance,
        keys={
            "seen_key": shard.seen(utterance),
            "utterances": shard.utterances,
            "recordings": shard.recordings,
        },
    )
    return bool(answer[0] == b"ok")
