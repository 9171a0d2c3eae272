"""A worker's record is read as it was written; a newer one is understood, a malformed one left out
and logged once."""

import json

from structlog.testing import capture_logs

from common.keys import WORKERS, worker_key
from common.redis.store import Store
from common.status.worker_record import WorkerRecord, read_workers
from tests.transitions.steps import redis

RECORD = WorkerRecord(name="stt-1", role="stt", host="h", pid=7, started_at=1.5, state="ready")


async def write(store: Store, name: str, raw: bytes | str) -> None:
    await redis(store).zadd(WORKERS, {name: 1})
    await redis(store).set(worker_key(name), raw)


def test_a_record_is_read_as_it_was_written() -> None:
    record = RECORD.model_copy(update={"waits_for": "the model “small”", "in_hand": 2})
    assert WorkerRecord.from_json(record.to_json()) == record


def test_what_is_not_known_is_not_written() -> None:
    assert json.loads(RECORD.to_json()) == {
        "name": "stt-1",
        "role": "stt",
        "host": "h",
        "pid": 7,
        "started_at": 1.5,
        "state": "ready",
        "in_hand": 0,
    }


def test_a_sentence_that_is_not_unicode_is_written_all_the_same() -> None:
    broken = RECORD.model_copy(update={"waits_for": "the model caf\udce9"})
    assert WorkerRecord.from_json(broken.to_json()).waits_for == "the model caf?"


def test_fields_and_states_of_a_newer_version_are_no_mistake() -> None:
    raw = json.dumps(RECORD.as_dict() | {"state": "dreaming", "sheep": [1]}).encode()
    assert WorkerRecord.from_json(raw).state == "dreaming"


def test_recordings_are_taken_unless_the_worker_says_otherwise() -> None:
    assert RECORD.takes_recordings
    assert not RECORD.model_copy(update={"recordings": False}).takes_recordings
    assert not RECORD.model_copy(update={"role": "llm"}).takes_recordings


def test_a_worker_that_waits_for_its_server_has_started() -> None:
    started = [
        state
        for state in ("starting", "ready", "waiting", "draining")
        if RECORD.model_copy(update={"state": state}).has_started
    ]
    assert started == ["ready", "waiting"]


async def test_a_malformed_record_is_logged_once_and_hides_nobody(clean_store: Store) -> None:
    await write(clean_store, "stt-1", RECORD.to_json())
    await write(clean_store, "strange", '{"name": "strange"}')
    await redis(clean_store).zadd(WORKERS, {"gone": 1})
    with capture_logs() as logs:
        for _ in range(3):
            assert await read_workers(clean_store.redis) == [RECORD]
    assert [(line["event"], line["worker"]) for line in logs] == [("bad_worker_entry", "strange")]
    await write(clean_store, "strange", "[]")
    with capture_logs() as logs:
        await read_workers(clean_store.redis)
    assert len(logs) == 1, "it is malformed in another way"
