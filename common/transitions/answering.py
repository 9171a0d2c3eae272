"""The LLM worker's transitions: take_turn, delta, settle_turn, fail_turn, bury_turn."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import structlog

from common.redis.script import Script
from common.redis.store import Store, ms
from common.transitions.claims import Claim, Failed, RetryRule, Settled, parse_failed
from common.transitions.letter_limits import limits_on_letters, report_dropped_letters

TAKE: Final = Script("take_turn")
DROP_WAKE_UP: Final = Script("drop_wake_up")
DELTA: Final = Script("delta")
SETTLE: Final = Script("settle_turn")
FAIL: Final = Script("fail_turn")
BURY: Final = Script("bury_turn")

Message = dict[str, str]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TakenTurn:
    """One turn of an attempt: what was said, and what its record keeps for this stage.

    `failures` is the number of attempts at it that have failed.
    """

    turn: int
    utterance: str
    text: str
    persona: str = ""
    interrupt: bool = False
    traceparent: str = ""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """The turns (one or more, in order) that an LLM worker took, to be answered as one.

    `token` fences delta, settle_turn and bury_turn. `number` counts attempts at this head.
    `history` holds the newest messages, oldest first. `started_at`: ms of the server's clock.
    `own_persona` is the session's own, empty unless it was chosen.
    """

    session: str
    token: str
    epoch: int
    number: int
    turns: tuple[TakenTurn, ...]
    history: tuple[Message, ...]
    started_at: int
    own_persona: str = ""

    @property
    def persona(self) -> str:
        """The persona that answers: the session's own, else the one of the newest turn that names
        one. Empty means the default."""
        named = (turn.persona for turn in reversed(self.turns) if turn.persona)
        return self.own_persona or next(named, "")


class NotTaken(Enum):
    """Why there is nothing to answer. The wake-up is gone, unless another worker has it (LOST)."""

    NOTHING = "nothing"
    STALE = "stale"
    LOST = "lost"


async def take_turn(
    store: Store,
    claim: Claim,
    session: str,
    *,
    token: str,
    max_merge: int,
    history: int,
    max_answer_age_s: float = 0,
) -> Attempt | NotTaken:
    """Begin an attempt at everything that is ready (at most `max_merge` turns).

    The token of any earlier attempt becomes void. `history` is the number of messages to return.
    """
    answer = await store.run(
        TAKE,
        session,
        entry=claim.entry,
        consumer=claim.consumer,
        token=token,
        max_merge=max_merge,
        history_wanted=history,
        max_age_ms=ms(max_answer_age_s),
        shard=claim.shard,
    )
    if answer[0] != b"ok":
        return NotTaken(answer[0].decode())
    _, epoch, number, turns, messages, now, persona = answer
    return Attempt(
        session=session,
        token=token,
        epoch=int(epoch),
        number=int(number),
        turns=tuple(
            _parse_turn(int(turn), json.loads(record))
            for turn, record in zip(turns[::2], turns[1::2], strict=True)
        ),
        history=tuple(_parse_history(messages)),
        started_at=now,
        own_persona=persona.decode("utf-8", "replace"),
    )


def _parse_history(lines: Sequence[bytes]) -> Iterator[Message]:
    for line in lines:
        message = parse_message(line)
        if message is None:
            log.warning("message_unreadable", note="left out of the history")
        else:
            yield message


def parse_message(line: bytes) -> Message | None:
    """Return a message of a session's history; None for one that earshot did not write."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not isinstance(content, str):
        return None
    return {"role": role, "content": content}


def _parse_turn(turn: int, record: Mapping[str, Any]) -> TakenTurn:
    return TakenTurn(
        turn=turn,
        utterance=record["id"],
        text=record["text"],
        persona=record.get("persona", ""),
        interrupt=bool(record.get("interrupt")),
        traceparent=record.get("traceparent", ""),
        failures=record.get("failures", 0),
    )


async def drop_wake_up(store: Store, claim: Claim) -> Settled:
    """Delete an entry of `turns` that names no session. LOST: the claim is another worker's."""
    dropped = await DROP_WAKE_UP(
        store.redis, {"turns": claim.stream}, entry=claim.entry, consumer=claim.consumer
    )
    return Settled.OK if dropped else Settled.LOST


@dataclass(frozen=True, slots=True)
class DeltaAnswer:
    """`held`: the attempt is still ours. `newer_speech`: committed speech waits behind it."""

    held: bool
    newer_speech: bool


async def delta(store: Store, attempt: Attempt, index: int, text: str) -> DeltaAnswer:
    """Publish a piece of the reply, and learn whether newer speech waits."""
    return await _delta(store, attempt, index, text, write=store.limits.deltas)


async def newer_speech(store: Store, attempt: Attempt) -> DeltaAnswer:
    """Ask what `delta` answers, without publishing anything, before the first token."""
    return await _delta(store, attempt, 0, "", write=False)


async def _delta(
    store: Store, attempt: Attempt, index: int, text: str, *, write: bool
) -> DeltaAnswer:
    shard = store.shard(attempt.session)
    answer = await store.run(
        DELTA,
        attempt.session,
        token=attempt.token,
        index=index,
        text=text,
        write=write,
        keys={"deltas": shard.deltas},
    )
    held = answer[0] == b"ok"
    return DeltaAnswer(held, held and bool(answer[1]))


async def settle_turn(
    store: Store,
    attempt: Attempt,
    *,
    text: str,
    detail: Mapping[str, Any],
    first_token_ms: int | None,
    last_token_ms: int = 0,
    keep: int,
    messages: Sequence[Message],
) -> Settled:
    """End the attempt's turns: `reply` for the last, `skipped: merged` for the others.

    `first_token_ms` and `last_token_ms` are the times since these tokens. `detail` holds further
    fields of the `reply` event (events.ReplyData). The history grows by `messages` and keeps the
    newest `keep`.
    """
    answer = await store.run(
        SETTLE,
        attempt.session,
        token=attempt.token,
        text=text,
        detail_json=json.dumps(detail),
        first_token_ms=-1 if first_token_ms is None else first_token_ms,
        last_token_ms=last_token_ms,
        keep=keep,
        messages=[json.dumps(message, ensure_ascii=False) for message in messages if keep],
    )
    return Settled(answer[0].decode())


async def fail_turn(
    store: Store, claim: Claim, session: str, *, rule: RetryRule
) -> Failed | Settled:
    """End an attempt that failed: count it, and defer the wake-up until it may be tried again.

    The token of the attempt becomes void. The failure counts for the first turn that has not
    ended, which `take_turn` takes alone from now on. LOST: another worker has the claim. STALE:
    nothing is to be tried again, and the wake-up is gone.
    """
    answer = await store.run(
        FAIL,
        session,
        entry=claim.entry,
        consumer=claim.consumer,
        shard=claim.shard,
        **rule.to_args(),
    )
    return parse_failed(answer)


async def bury_turn(
    store: Store, attempt: Attempt, *, reason: str, error: str, deliveries: int, worker: str
) -> Settled:
    """Bury the attempt's turns: each gets an `error` event and a dead letter."""
    answer = await store.run(
        BURY,
        attempt.session,
        token=attempt.token,
        reason=reason,
        error_text=error,
        deliveries=deliveries,
        worker=worker,
        keys=store.shard(attempt.session).letters,
        **limits_on_letters(store),
    )
    settled = Settled(answer[0].decode())
    if settled is Settled.OK:
        report_dropped_letters(*answer[1:3])
    return settled
