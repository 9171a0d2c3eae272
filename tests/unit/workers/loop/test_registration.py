"""What a worker says about itself is where `earshot status` looks, and vanishes when it dies."""

import json
import os
import time

import pytest

from common.keys import WORKERS, worker_key
from common.redis.store import Store
from workers.loop.registration import PRUNE_AFTER_S, Registration, consumer_name


def test_each_start_is_a_new_name_that_tells_who_it_is() -> None:
    names = {consumer_name("stt") for _ in range(100)}
    assert len(names) == 100
    for name in names:
        role, *_, pid, _ = name.split("-")
        assert (role, int(pid)) == ("stt", os.getpid())


def test_what_is_said_adds_up_and_none_takes_it_back(store: Store) -> None:
    registration = Registration(store.redis, "llm-1", "llm", ttl_s=5)
    registration.update(state="waiting", waits_for="the LLM server")
    assert registration.record.waits_for == "the LLM server"
    registration.update(state="ready", waits_for=None)
    assert registration.record.state == "ready"
    assert registration.record.waits_for is None


async def test_it_is_published_for_a_while(store: Store) -> None:
    registration = Registration(store.redis, "llm-1", "llm", ttl_s=5)
    await registration.publish()
    raw = await store.redis.get(worker_key("llm-1"))
    assert raw is not None
    said = json.loads(raw)
    assert (said["name"], said["role"], said["pid"]) == ("llm-1", "llm", os.getpid())
    assert said["state"] == "starting"
    assert 0 < await store.redis.pttl(worker_key("llm-1")) <= 5_000
    assert await store.redis.zrange(WORKERS, 0, -1) == [b"llm-1"]


async def test_leaving_takes_it_away(store: Store) -> None:
    registration = Registration(store.redis, "llm-1", "llm", ttl_s=5)
    await registration.publish()
    await registration.remove()
    assert await store.redis.exists(worker_key("llm-1"), WORKERS) == 0


async def test_names_of_the_long_dead_are_pruned(store: Store) -> None:
    long_ago = time.time() - PRUNE_AFTER_S - 1
    await store.redis.zadd(WORKERS, {"llm-old": long_ago, "llm-recent": time.time() - 1})
    await Registration(store.redis, "llm-1", "llm", ttl_s=5).publish()
    assert await store.redis.zrange(WORKERS, 0, -1) == [b"llm-recent", b"llm-1"]


async def test_a_host_whose_clock_is_wrong_prunes_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Registration(store.redis, "llm-1", "llm", ttl_s=5).publish()
    ahead = time.time() + 2 * PRUNE_AFTER_S
    monkeypatch.setattr(time, "time", lambda: ahead)
    await Registration(store.redis, "llm-2", "llm", ttl_s=5).publish()
    assert await store.redis.zrange(WORKERS, 0, -1) == [b"llm-1", b"llm-2"]


async def test_the_list_of_names_does_not_outlive_the_last_worker_for_ever(store: Store) -> None:
    await Registration(store.redis, "llm-1", "llm", ttl_s=5).publish()
    assert 0 < await store.redis.ttl(WORKERS) <= PRUNE_AFTER_S
