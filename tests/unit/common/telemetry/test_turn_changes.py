"""Transitions tell what they did to turns: each event once, to the process that made it, with the
server's times of all stages that the turn has been through."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from common.redis.store import Store
from common.telemetry.turn_changes import TurnChange, split_changes
from common.traceparent import begin_trace
from common.transitions.publishing import commit
from common.transitions.tending import forget, tend
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    bury,
    hear,
    hear_eager,
    hear_text,
    limited,
    read,
    redis,
    reply,
    settle,
    skip,
    take,
    transcribe,
)

pytestmark = ON_BOTH_SERVERS


class Heard:
    """A store whose changes are kept; `told` gives those since it was asked last."""

    def __init__(self, store: Store) -> None:
        self.changes: list[TurnChange] = []
        self.store = replace(store, listener=self.changes.extend)

    def told(self) -> list[tuple[str, int, str]]:
        changes = self.changes.copy()
        self.changes.clear()
        return [(change.what, change.turn, change.reason) for change in changes]


@pytest.fixture
def heard(clean_store: Store) -> Heard:
    return Heard(clean_store)


async def test_a_turn_is_told_from_its_publish_to_its_reply(heard: Heard) -> None:
    await hear(heard.store, "u1", traceparent=begin_trace("u1"), length_ms=900, silence_ms=70)
    assert [change.what for change in heard.changes] == ["heard", "published"]
    await transcribe(heard.store)
    await reply(heard.store, await take(heard.store))
    assert [change.what for change in heard.changes[2:]] == ["transcribed", "transcript", "reply"]
    last = heard.changes[-1]
    assert (last.session, last.turn, last.utterance, last.attempt) == (ADA, 1, "u1", 1)
    assert (last.traceparent, last.length_ms, last.silence_ms) == (begin_trace("u1"), 900, 70)
    stages = [
        *(last.spoken, last.published, last.stt_started, last.transcribed, last.llm_started),
        *(last.first_token, last.last_token, last.at),
    ]
    assert all(stage is not None for stage in stages)
    assert last.ready == last.transcribed
    # whoever says that STT took 3 ms may be a little ahead of the server
    assert sorted(stage for stage in (last.published, last.llm_started, last.at) if stage) == [
        last.published,
        last.llm_started,
        last.at,
    ]
    assert last.committed is None


async def test_a_draft_is_told_when_it_is_final_and_not_before(heard: Heard) -> None:
    await hear_eager(heard.store)
    await transcribe(heard.store)
    assert heard.told() == [("heard", 1, ""), ("transcribed", 1, "")]
    await commit(heard.store, ADA, "u1", 1)
    committed = heard.changes[0]
    assert committed.committed == committed.at == committed.ready
    assert heard.told() == [("committed", 1, ""), ("transcript", 1, "")]
    await commit(heard.store, ADA, "u1", 1)  # its answer was lost
    assert heard.told() == []


async def test_turns_that_are_answered_together_end_together(heard: Heard) -> None:
    await hear_text(heard.store, "u1", "u2")
    heard.told()
    await reply(heard.store, await take(heard.store))
    assert [change.into for change in heard.changes] == [2, None]
    assert heard.told() == [("skipped", 1, "merged"), ("reply", 2, "")]


async def test_every_other_end_is_told_with_its_reason(heard: Heard) -> None:
    await hear(heard.store, "noise", "bad", "silent")
    await hear_eager(heard.store, "open")
    heard.told()
    await skip(heard.store, *await read(heard.store))
    assert heard.told() == [("transcribed", 1, ""), ("skipped", 1, "noise")]
    await bury(heard.store, *await read(heard.store))
    assert heard.told() == [("error", 2, "bad_audio")]
    claim, _ = await read(heard.store)
    await redis(heard.store).xack(SHARD.utterances, "stt", claim.entry)
    await redis(heard.store).xdel(SHARD.utterances, claim.entry)
    assert await tend(limited(heard.store, turn_timeout_s=600), ADA) == ["lost"]
    assert heard.told() == [("error", 3, "lost")]
    assert await forget(heard.store, ADA) == 1
    assert heard.told() == [("skipped", 4, "forgotten")]


async def test_a_claim_that_is_not_ours_tells_nothing(heard: Heard) -> None:
    await hear(heard.store, "u1")
    claim, fields = await read(heard.store)
    heard.told()
    await settle(heard.store, replace(claim, consumer="nobody"), fields)
    assert heard.told() == []


async def test_a_listener_that_fails_changes_nothing(clean_store: Store) -> None:
    def broken(changes: Sequence[TurnChange]) -> None:
        raise RuntimeError("cannot count")

    with capture_logs() as lines:
        await hear(replace(clean_store, listener=broken), "u1")
    assert [line["event"] for line in lines] == ["turn_changes_not_counted"]
    await transcribe(clean_store)


async def test_an_answer_without_marks_is_left_alone(clean_store: Store) -> None:
    for answer in ([], [b"ok"], [b"ok", []], [b"ok", [b"other"]]):
        assert split_changes(answer, ADA) == (answer, [])
