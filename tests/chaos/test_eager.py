"""Producers and STT workers die between an early publish, resumption and commit: each turn that was
heard ends exactly once, nothing is shown that was not confirmed, and what had reached the outbox is
answered, once, under a new id if its turn had expired."""

import asyncio
import random
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

from common.events import Ending, Event, Heard, Reply, Skipped, Transcript, parse_event
from ops.bench.chaos.speech import spoken_text
from tests.chaos.eager_producer import (
    BLOCK,
    DEATHS,
    Death,
    Diary,
    death_in,
    resumes,
    run_eager_producer,
)
from tests.chaos.worker_processes import WorkerProcesses, running_worker_processes
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

SPEAKERS = 3
UTTERANCES = 2 * len(DEATHS)  # of each speaker: every death, with and without a resumption
STT_KILL_EVERY_S = 0.6


async def events_of(workers: WorkerProcesses) -> list[Event]:
    redis: Any = workers.stage.store.redis
    rows = await redis.xrange(workers.stage.store.all_shards()[0].results)
    return [parse_event(fields) for _, fields in rows]


async def kill_stt_workers(workers: WorkerProcesses, seed: int) -> None:
    rng = random.Random(seed)
    while True:
        await asyncio.sleep(rng.uniform(0, 2 * STT_KILL_EVERY_S))
        workers.stage.pool.kill(rng.choice(workers.stage.pool.names("stt")), down_s=0.1)


async def test_every_turn_ends_once_and_nothing_unconfirmed_is_shown(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    sessions = [f"speaker-{number}" for number in range(SPEAKERS)]
    diaries = [Diary(tmp_path, session) for session in sessions]
    async with running_worker_processes(
        tmp_path,
        redis_server.url,
        stt=2,
        slow_s=0.1,
        # A claim that passes by mistake does no harm here: no delivery is one too many.
        worker={"claim_idle_s": 0.6, "max_deliveries": 50},
        limits={"turn_timeout_s": 1.5, "tend_after_s": 0.5},
    ) as workers:
        for share, session in enumerate(sessions):
            numbers = range(share * UTTERANCES, (share + 1) * UTTERANCES)
            workers.stage.pool.start(
                f"speaker-{share}",
                run_eager_producer,
                workers.stage.settings,
                session,
                numbers,
                tmp_path,
            )
        killing = asyncio.create_task(kill_stt_workers(workers, seed=1))

        async def done() -> bool:
            return all(diary.noted("done") for diary in diaries)

        await until(done)
        killing.cancel()
        with suppress(asyncio.CancelledError):
            await killing
        assert await workers.stage.wait_for_rest(0, 60)
        events = await events_of(workers)
        deaths = workers.stage.pool.deaths
        assert deaths.crashed == []
        assert deaths.killed > SPEAKERS * (UTTERANCES - 2), "producers, and STT workers beside them"

    turns: dict[tuple[str, int, int], list[Event]] = defaultdict(list)
    for event in events:
        turns[event.key].append(event)
    for turn in turns.values():
        assert isinstance(turn[0], Heard)
        assert isinstance(turn[-1], Ending)
        assert sum(isinstance(event, Heard) for event in turn) == 1
        assert sum(isinstance(event, Ending) for event in turn) == 1
        assert len({event.id for event in turn}) == 1

    texts = Counter(event.data.text for event in events if isinstance(event, Transcript))
    kept = {number for diary in diaries for number in diary.noted("kept")}
    ended = {number for diary in diaries for number in diary.noted("ended")}
    assert {text: texts[text] for text in map(spoken_text, kept)} == dict.fromkeys(
        map(spoken_text, kept), 1
    ), "what had reached the outbox was transcribed, whole, and once"
    assert texts.keys() <= set(map(spoken_text, ended)), "what was shown had been confirmed"

    skipped = [event for event in events if isinstance(event, Skipped)]
    reasons = Counter(event.data.reason for event in skipped)
    assert reasons.keys() <= {"merged", "expired"}
    expired = {event.id for event in skipped if event.data.reason == "expired"}
    assert not expired & {event.id for event in events if isinstance(event, Transcript)}
    assert expired, "some turns were left open by a death"
    answered = sum(isinstance(event, Reply) for event in events) + reasons["merged"]
    assert answered == sum(texts.values())
    for session in sessions:
        replies = [e.turn for e in events if isinstance(e, Reply) and e.session == session]
        assert replies == sorted(replies)

    assert all(diary.noted("renamed") for diary in diaries), "some came back too late"
    early = [e for e in events if isinstance(e, Transcript) and e.data.timings.committed]
    assert early, "some were committed"


def test_each_death_is_met_with_and_without_a_resumption() -> None:
    met = {(death_in(number), resumes(number)) for number in range(UTTERANCES)}
    assert len(met) == 2 * len(Death)
    assert BLOCK > 1
