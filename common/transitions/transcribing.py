"""The STT worker's transitions: settle_utterance and bury_utterance."""

import json
from collections.abc import Mapping
from typing import Any, Final

from common.redis.script import Script
from common.redis.store import Store
from common.transitions.claims import Claim, Settled

SETTLE: Final = Script("settle_utterance")
BURY: Final = Script("bury_utterance")


async def settle_transcript(
    store: Store,
    claim: Claim,
    *,
    session: str,
    turn: int,
    utterance: str,
    text: str,
    stt_ms: int,
    detail: Mapping[str, Any],
) -> Settled:
    """Put the transcript in the entry's place. `stt_ms`: since STT began, monotonic.

    `detail` holds further fields of the `transcript` event (events.TranscriptData).
    """
    return await _settle(store, claim, session, turn, utterance, "text", text, stt_ms, detail)


async def settle_skip(
    store: Store,
    claim: Claim,
    *,
    session: str,
    turn: int,
    utterance: str,
    reason: str,
    stt_ms: int,
    detail: Mapping[str, Any],
) -> Settled:
    """Put a tombstone in the entry's place; `reason` is one of events.SkipReason."""
    return await _settle(store, claim, session, turn, utterance, "skip", reason, stt_ms, detail)


async def _settle(
    store: Store,
    claim: Claim,
    session: str,
    turn: int,
    utterance: str,
    kind: str,
    value: str,
    stt_ms: int,
    detail: Mapping[str, Any],
) -> Settled:
    answer = await store.run(
        SETTLE,
        session,
        claim.entry,
        claim.consumer,
        turn,
        utterance,
        kind,
        value,
        stt_ms,
        json.dumps(detail),
        keys=[claim.stream],
        shard=claim.shard,
    )
    return Settled(answer[0].decode())


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
    """Move the whole entry to the dead letters.

    With an empty `session` (the entry names none that is usable) no session is touched and the
    answer is STALE, as it is when no turn waits for the entry.
    """
    answer = await store.run(
        BURY,
        session,
        claim.entry,
        claim.consumer,
        "" if turn is None else turn,
        utterance,
        reason,
        error,
        deliveries,
        worker,
        keys=[claim.stream, claim.shard.dead],
        shard=claim.shard,
    )
    return Settled(answer[0].decode())
