"""Stores of one and of six shards whose results a subscriber reads, with short pauses."""

from collections.abc import AsyncIterator

import pytest

import common.results.subscriber
from tests.integration.redis.subscriber.published_results import PublishedResults
from tests.support.redis_server import RedisServer


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common.results.subscriber, "BLOCK_MS", 20)
    monkeypatch.setattr(common.results.subscriber, "CHECK_AFTER_EMPTY", 2)


@pytest.fixture
async def published(redis_server: RedisServer) -> AsyncIterator[PublishedResults]:
    published = PublishedResults(redis_server)
    yield published
    await published.redis.aclose()


@pytest.fixture
async def six_shards(redis_server: RedisServer) -> AsyncIterator[PublishedResults]:
    published = PublishedResults(redis_server, shards=6)
    yield published
    await published.redis.aclose()
