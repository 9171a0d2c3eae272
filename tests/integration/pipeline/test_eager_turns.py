"""What was said before a turn was over is shown and answered once, whole, and only when it was
confirmed: the transitions on a real Redis, and the real producer with real workers behind it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from common.audio import SAMPLE_RATE
from common.events import Heard, Transcript
from common.redis.store import Store
from common.transitions.publishing import Commitment, Verdict, commit, publish
from common.utterance import Utterance
from ops.bench.chaos.plan import Kind, PlannedUtterance
from ops.bench.chaos.speech import make_utterance, spoken_text
from ops.bench.eager import make_clips, measure
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tests.support.worker_tasks import WorkerTasks, running_worker_tasks

MODEL = "instant"


def said(
    number: int, name: str, *, revision: int = 1, final: bool = False, **more: Any
) -> Utterance:
    """A number as an utterance, whose workers hear it."""
    whole = make_utterance(PlannedUtterance(number, "s", 0.0, Kind.SPEECH), MODEL)
    return whole.model_copy(update={"id": name, "revision": revision, "final": final, **more})


@pytest.fixture
async def workers(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WorkerTasks]:
    async with running_worker_tasks(
        redis_server, monkeypatch, limits={"tend_after_s": 0.1}
    ) as workers:
        yield workers


def inbox(store: Store, session: str = "s") -> str:
    return store.shard(session).inbox(session)


async def record(store: Store, turn: int = 1) -> dict[str, Any]:
    redis: Any = store.redis
    raw = await redis.hget(inbox(store), turn)
    return dict(json.loads(raw)) if raw else {}


async def transcribed(store: Store, turn: int = 1) -> None:
    async def look() -> bool:
        return "transcribed" in await record(store, turn)

    await until(look)


async def test_nothing_is_shown_before_it_is_committed(workers: WorkerTasks) -> None:
    await workers.start("w")
    await publish(workers.store, said(7, "a", hold_ms=250))
    await transcribed(workers.store)
    assert await workers.transcripts() == []
    assert (await commit(workers.store, "s", "a", 1)).outcome is Commitment.OK
    [transcript] = await workers.events(Transcript)
    assert transcript.data.text == spoken_text(7)
    timings = transcript.data.timings
    assert timings.published == 250
    assert 250 <= timings.stt_started <= timings.transcribed <= timings.committed
    [heard] = await workers.events(Heard)
    assert transcript.at - heard.data.spoken_at == timings.committed


async def test_a_transcript_that_comes_after_the_commit_is_shown_as_it_comes(
    workers: WorkerTasks,
) -> None:
    await publish(workers.store, said(7, "a", hold_ms=250))
    await commit(workers.store, "s", "a", 1)
    await workers.start("w")
    await workers.wait_for_transcripts(7)
    [transcript] = await workers.events(Transcript)
    assert transcript.data.timings.committed <= transcript.data.timings.transcribed


async def test_what_was_said_after_all_replaces_what_was_transcribed(workers: WorkerTasks) -> None:
    await workers.start("w")
    await publish(workers.store, said(7, "a", speech_ms=700))
    await transcribed(workers.store)
    revised = said(8, "a", revision=2, speech_ms=1900, final=True)
    assert (await publish(workers.store, revised)).verdict is Verdict.REVISED
    await workers.wait_for_transcripts(8)
    [transcript] = await workers.events(Transcript)
    assert transcript.data.speech_ms == 1900
    assert transcript.data.timings.committed is None, "it was never waited for"


async def test_the_end_of_speech_is_that_of_the_last_revision(workers: WorkerTasks) -> None:
    await publish(workers.store, said(7, "a", hold_ms=9_000))
    await publish(workers.store, said(8, "a", revision=2, hold_ms=250))
    await commit(workers.store, "s", "a", 2)
    await workers.start("w")
    await workers.wait_for_transcripts(8)
    [transcript] = await workers.events(Transcript)
    assert transcript.data.timings.published == 250


async def test_a_commit_may_come_twice(workers: WorkerTasks) -> None:
    await workers.start("w")
    await publish(workers.store, said(7, "a"))
    assert (await commit(workers.store, "s", "a", 1)).outcome is Commitment.OK
    await workers.wait_for_transcripts(7)
    assert (await commit(workers.store, "s", "a", 1)).outcome is Commitment.OK
    assert await workers.transcripts() == [spoken_text(7)]


# -- the real producer, the real model


@pytest.mark.full  # in real time, and a busy machine is late for it
async def test_with_eager_transcription_little_is_left_of_the_wait_beyond_the_silence() -> None:
    measured = await measure(make_clips()[:3] + make_clips()[-1:], model="demo")
    on = [turn for turn in measured.turns if turn.mode == "on"]
    assert len(on) == 4
    assert [turn.runs for turn in on] == [1, 1, 1, 2], "a pause inside costs one more run"
    # whether STT is done by then as well is a matter of how busy this machine is
    assert all(turn.started_ms < measured.silence_ms for turn in on), "while nobody knew the end"
    off = [turn for turn in measured.turns if turn.mode == "off"]
    assert all(turn.started_ms >= measured.silence_ms for turn in off)
    assert measured.ratio < 0.9
    assert all(turn.text for turn in measured.turns)


def test_the_clips_are_sentences_and_pairs_with_a_pause() -> None:
    turns = make_clips()
    assert {clip.pauses for clip in turns} == {0, 1}
    assert all(SAMPLE_RATE < len(clip.samples) < 8 * SAMPLE_RATE for clip in turns)
