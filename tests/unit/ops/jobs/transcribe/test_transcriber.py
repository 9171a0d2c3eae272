"""Every segment of a recording gets one transcript: a run that is killed sends nothing twice, what
Redis lost is sent anew, the limits hold it up, and a dead letter leaves a hole that is named."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from redis.exceptions import ResponseError

from common.audio import SAMPLE_RATE
from common.errors import BadEntry
from common.keys import STT_GROUP, Shard
from common.redis.link import Link
from common.redis.store import Store
from common.results import subscriber
from common.settings import ListenSettings, RedisSettings
from common.transitions.claims import Claim, make_group
from common.transitions.tending import forget
from common.transitions.transcribing import bury_utterance, settle_utterance
from common.utterance import Utterance
from ops.jobs.transcribe import transcriber as module
from ops.jobs.transcribe.transcriber import Run, Transcriber
from ops.jobs.transcribe.transcript import Transcript
from producer.sources.audio_file import AudioFileSource
from tests.support.speechlike import room_noise, speechlike
from tests.support.waiting import until

SHARD = Shard(0)
RUN = Run("0123456789abcdef", "talk.01234567", "0-0")
SEGMENTS = 8  # more than FAST's max_unanswered
SETTINGS = ListenSettings(vad="webrtc", silence_s=0.4, min_speech_s=0.2)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FULL_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "POLL_S", 0.01)
    monkeypatch.setattr(subscriber, "BLOCK_MS", 20)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "talk.wav"
    one = np.concatenate([speechlike(0.5), room_noise(0.8)])
    soundfile.write(path, np.tile(one, SEGMENTS), SAMPLE_RATE)
    return path


def transcriber(store: Store) -> Transcriber:
    link = Link(store.redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.05)
    return Transcriber(store, link, SETTINGS, RUN)


async def transcribed(one: Transcriber, talk: Path) -> Transcript:
    async with asyncio.timeout(60):
        return await one.transcribe(lambda: AudioFileSource(talk), "talk.wav")


def detail(text: str, **more: Any) -> dict[str, Any]:
    return {"language": "en", "model": "m", "worker": "w", "text": text} | more


class Stt:
    """Transcribes what waits, as `how` says: a text, "" for noise, or an error to be buried."""

    def __init__(self, store: Store, how: Callable[[int], str | Exception] = str) -> None:
        self._store = store
        self._redis: Any = store.redis
        self._how = how
        self.taken: list[str] = []
        self.leaving = False

    async def run(self) -> None:
        while not self.leaving:
            await make_group(self._store, SHARD.recordings, STT_GROUP)
            with suppress(ResponseError):  # the group goes with a flush
                answer = await self._redis.xreadgroup(
                    STT_GROUP, "w", {SHARD.recordings: ">"}, count=1, block=20
                )
                for _, entries in answer:
                    for entry, fields in entries:
                        await self._settle(entry.decode(), fields)

    async def _settle(self, entry: str, fields: dict[bytes, bytes]) -> None:
        utterance = Utterance.from_fields(fields, max_audio=2**22)
        assert not utterance.answer
        self.taken.append(utterance.id)
        claim = Claim(SHARD, SHARD.recordings, entry, "w")
        said = self._how(utterance.turn)
        names: dict[str, Any] = {
            "session": utterance.session,
            "turn": utterance.turn,
            "utterance": utterance.id,
        }
        if isinstance(said, Exception):
            await bury_utterance(
                self._store, claim, **names, reason="bad", error=str(said), deliveries=1, worker="w"
            )
        elif said:
            await settle_utterance(
                self._store, claim, **names, text=said, stt_ms=1, detail=detail(said)
            )
        else:
            await settle_utterance(self._store, claim, **names, skip="noise", stt_ms=1, detail={})


@asynccontextmanager
async def working(stt: Stt) -> AsyncIterator[Stt]:
    task = asyncio.create_task(stt.run())
    try:
        yield stt
    finally:
        stt.leaving = True
        await task


async def test_all_that_was_said_comes_out_in_order_with_its_times(
    store: Store, talk: Path
) -> None:
    one = transcriber(store)
    async with working(Stt(store, lambda turn: "" if turn == 3 else f"text {turn}")) as stt:
        transcript = await transcribed(one, talk)
    assert len(stt.taken) == len(set(stt.taken)) == SEGMENTS
    turns = [turn for turn in range(1, SEGMENTS + 1) if turn != 3]
    assert [line.text for line in transcript.lines] == [f"text {turn}" for turn in turns]
    for line, turn in zip(transcript.lines, turns, strict=True):
        began_s = 1.3 * (turn - 1)
        assert line.start_s == pytest.approx(began_s, abs=0.35)
        assert line.end_s == pytest.approx(began_s + 0.7, abs=0.35)
    assert (transcript.language, transcript.model, transcript.holes) == ("en", "m", ())
    assert transcript.duration_s == pytest.approx(1.3 * SEGMENTS, abs=0.1)
    assert one.progress.done == one.progress.segments == SEGMENTS
    assert one.progress.done_s == one.progress.cut_s


async def test_segments_become_lines_of_their_own(store: Store, talk: Path) -> None:
    parts = [
        {"start_ms": 0, "end_ms": 200, "text": "one"},
        {"start_ms": 200, "end_ms": 500, "text": "two"},
    ]

    class Wordy(Stt):
        async def _settle(self, entry: str, fields: dict[bytes, bytes]) -> None:
            said = Utterance.from_fields(fields, max_audio=2**22)
            await settle_utterance(
                self._store,
                Claim(SHARD, SHARD.recordings, entry, "w"),
                session=said.session,
                turn=said.turn,
                utterance=said.id,
                text="one two",
                stt_ms=1,
                detail=detail("one two", segments=parts),
            )

    async with working(Wordy(store)):
        transcript = await transcribed(transcriber(store), talk)
    assert [line.text for line in transcript.lines] == ["one", "two"] * SEGMENTS
    first, second = transcript.lines[:2]
    assert second.start_s == pytest.approx(first.start_s + 0.2)
    assert second.end_s == pytest.approx(first.start_s + 0.5)


async def test_the_limits_hold_it_up_and_it_says_so(store: Store, talk: Path) -> None:
    one = transcriber(store)
    task = asyncio.create_task(transcribed(one, talk))
    await until(lambda: "6 unanswered turns" in one.progress.held_up)
    redis: Any = store.redis
    assert await redis.xlen(SHARD.recordings) == store.limits.max_unanswered
    async with working(Stt(store)):
        transcript = await task
    assert len(transcript.lines) == SEGMENTS
    assert one.progress.held_up == ""


async def test_a_run_that_was_killed_goes_on_where_it_was(store: Store, talk: Path) -> None:
    killed = asyncio.create_task(transcribed(transcriber(store), talk))
    async with working(Stt(store)) as first:
        await until(lambda: len(first.taken) >= 3)
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    async with working(Stt(store)) as second:
        transcript = await transcribed(transcriber(store), talk)
    taken = [*first.taken, *second.taken]
    assert len(set(taken)) == SEGMENTS
    assert len(transcript.lines) == SEGMENTS
    redis: Any = store.redis
    events = [fields[b"type"] for _, fields in await redis.xrange(SHARD.results)]
    assert events.count(b"heard") == SEGMENTS
    assert events.count(b"transcript") == SEGMENTS


async def test_what_a_flush_took_is_sent_anew(
    store: Store, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOST_AFTER_S", 0.05)
    redis: Any = store.redis
    one = transcriber(store)
    task = asyncio.create_task(transcribed(one, talk))
    await until(lambda: "6 unanswered turns" in one.progress.held_up)
    await redis.flushall()
    async with working(Stt(store)):
        transcript = await task
    assert len(transcript.lines) == SEGMENTS


async def test_results_that_were_trimmed_before_they_were_read_are_made_again(
    store: Store, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOST_AFTER_S", 0.05)
    redis: Any = store.redis
    async with working(Stt(store)):
        await transcribed(transcriber(store), talk)
        await redis.xtrim(SHARD.results, maxlen=0, approximate=False)
        transcript = await transcribed(transcriber(store), talk)
    assert len(transcript.lines) == SEGMENTS


async def test_a_dead_letter_leaves_a_hole_that_is_named(store: Store, talk: Path) -> None:
    def how(turn: int) -> str | Exception:
        return ValueError("it broke") if turn == 2 else f"text {turn}"

    async with working(Stt(store, how)):
        transcript = await transcribed(transcriber(store), talk)
    assert len(transcript.lines) == SEGMENTS - 1
    (hole,) = transcript.holes
    assert hole.error == "it broke"
    assert hole.start_s == pytest.approx(1.3, abs=0.35)


async def test_a_session_that_was_forgotten_is_given_up(store: Store, talk: Path) -> None:
    one = transcriber(store)
    task = asyncio.create_task(transcribed(one, talk))
    await until(lambda: "6 unanswered turns" in one.progress.held_up)
    await forget(store, RUN.session)
    with pytest.raises(BadEntry, match="was forgotten"):
        await task


async def test_events_of_other_runs_and_people_are_none_of_its_business(
    store: Store, talk: Path
) -> None:
    other = Run("fedcba9876543210", RUN.session, "0-0")
    async with working(Stt(store)):
        link = Link(store.redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.05)
        await transcribed(Transcriber(store, link, SETTINGS, other), talk)
    one = transcriber(store)
    async with working(Stt(store, lambda turn: f"mine {turn}")):
        transcript = await transcribed(one, talk)
    assert all(line.text.startswith("mine") for line in transcript.lines)
    assert len(transcript.lines) == SEGMENTS
