"""The STT worker's transitions: settle_utterance, fail_utterance and bury_utterance."""

import json
from collections.abc import Mapping
from typing import Any, Final

from common.redis.script import Script
from common.redis.store import Store
from common.transitions.claims import Claim, Failed, RetryRule, Settled, parse_failed
from common.transitions.letter_limits import (
    largest_letter,
    limits_on_letters,
    report_dropped_letters,
)

SETTLE: Final = Script("settle_utterance")
FAIL: Final = Script("fail_utterance")
BURY: Final = Script("bury_utterance")


async def settle_utterance(
    store: Store,
    claim: Claim,
    *,
    session: str,
    turn: int,
    utterance: str,
    stt_ms: int,
    detail: Mapping[str, Any],
    text: str | None = None,
    skip: str | None = None,
    language: str = "",
    phrase: str = "",
) -> Settled:
    """Put the transcript `text`, or a tombstone with the reason `skip`, in the entry's place.

    `skip` is one of events.SkipReason. `stt_ms` is the time since STT began, by a monotonic clock.
    `detail` holds further fields of the event (events.TranscriptData). For the session's next
    utterances it remembers `language`, a code, unless that is empty, and `phrase`, the stock
    phrase that the model wrote and nothing else. Raises ValueError unless exactly one of `text`
    and `skip` is given.
    """
    if (text is None) == (skip is None):
        raise ValueError("an utterance is settled with a text or a reason to skip it")
    answer = await store.run(
        SETTLE,
        session,
        entry=claim.entry,
        consumer=claim.consumer,
        turn=turn,
        utterance=utterance,
        kind="skip" if text is None else "text",
        value=text or skip or "",
        stt_ms=stt_ms,
        detail_json=json.dumps(detail),
        language=language,
        phrase=phrase,
        keys={"stream": claim.stream},
        shard=claim.shard,
    )
    return Settled(answer[0].decode())


async def fail_utterance(
    store: Store,
    claim: Claim,
    *,
    session: str,
    turn: int | None,
    utterance: str,
    rule: RetryRule,
) -> Failed | Settled:
    """End a try that failed: count it, and defer the entry until it may be tried again.

    LOST: another worker has the claim. STALE: no turn waits for the entry, and it is gone.
    """
    answer = await store.run(
        FAIL,
        session,
        entry=claim.entry,
        consumer=claim.consumer,
        turn="" if turn is None else turn,
        utterance=utterance,
        keys={"stream": claim.stream},
        shard=claim.shard,
        **rule.to_args(),
    )
    return parse_failed(answer)


async def bury_utterance(
    store: Store,
    claim: Claim,
    *,
    session: str,
    turn: int | None,
    utterance: str,
    reason: str,
    error: str,
    deliveries: int,
    worker: str,
) -> Settled:
    """Move the entry to the dead letters, whole unless it is too large for one.

    With an empty `session` (the entry names none that is usable) no session is touched and the
    answer is STALE, as it is when no turn waits for the entry.
    """
    answer = await store.run(
        BURY,
        session,
        entry=claim.entry,
        consumer=claim.consumer,
        turn="" if turn is None else turn,
        utterance=utterance,
        reason=reason,
        error_text=error,
        deliveries=deliveries,
        worker=worker,
        letter_max_bytes=largest_letter(store),
        keys={"stream": claim.stream, **claim.shard.letters},
        shard=claim.shard,
        **limits_on_letters(store),
    )
    settled = Settled(answer[0].decode())
    if settled is not Settled.LOST:
        report_dropped_letters(*answer[1:3])
    return settled
