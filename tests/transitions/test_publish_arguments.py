"""A client in another language may send anything to the script `publish`. What makes no entry and
no record is refused before anything changes.
"""

import json
from typing import Any, Final

import pytest

from common.errors import Refused
from common.redis.store import Store
from common.transitions.publishing import PUBLISH
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    everything,
)

pytestmark = ON_BOTH_SERVERS


META: Final[dict[str, Any]] = {
    "speech in words": {"speech_ms": "long"},
    "a sentence": "hello",
    "a persona that is a number": {"persona": 3},
    "an answer in words": {"answer": "no"},
    "null": {"source": None},
    "details in a sentence": {"detail": "x"},
}


@pytest.mark.parametrize("meta", META.values(), ids=META.keys())
async def test_what_makes_no_record_is_refused_before_anything_changes(
    clean_store: Store, meta: Any
) -> None:
    """A client in another language may send anything to the script."""
    before = await everything(clean_store)
    with pytest.raises(Refused):
        await publish_raw(clean_store, meta=json.dumps(meta))
    assert await everything(clean_store) == before


@pytest.mark.parametrize(
    "change",
    [
        {"meta": "garbage"},
        {"meta": '{"source": "\xff"}'.encode("latin-1")},
        {"meta": "[" * 5_000},
        {"has_text": "1", "text": b"\xff\xfe"},
        {"revision": "second"},
        {"hold_ms": "long"},
        {"hold_ms": "1.5"},
        {"seen_ttl_ms": "0"},
        {"seen_ttl_ms": "for ever"},
        {"fields": ["v"]},
        {"fields": ["v", "1"] * 129},
        {"fields": ["v", "1"] * 5_000},
    ],
)
async def test_arguments_that_make_no_entry_are_refused_before_anything_changes(
    clean_store: Store, change: dict[str, Any]
) -> None:
    before = await everything(clean_store)
    with pytest.raises(Refused):
        await publish_raw(clean_store, **change)
    assert await everything(clean_store) == before


async def publish_raw(store: Store, **change: Any) -> Any:
    """Publish as any client may that holds the script."""
    args: dict[str, Any] = {
        "utterance": "u1",
        "revision": 1,
        "final": 1,
        "hold_ms": 0,
        "seen_ttl_ms": 1_000,
        "max_backlog": 10,
        "max_unanswered": 10,
        "meta": "{}",
        "stream_name": "utterances",
        "has_text": "0",
        "text": "",
        "fields": ["v", "1"],
    }
    keys = {"stream": SHARD.utterances, "seen_key": SHARD.seen("u1")}
    return await store.run(PUBLISH, ADA, keys=keys, **(args | change))
