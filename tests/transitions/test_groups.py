"""Groups begin at the start of their stream, can be made on a full server, and hold on to no entry
that has vanished."""

import pytest

from common.keys import STT_GROUP
from common.redis.store import Store
from common.transitions.claims import make_group
from tests.transitions.steps import ON_BOTH_SERVERS, SHARD, redis

pytestmark = ON_BOTH_SERVERS
STREAM = SHARD.utterances


async def test_a_group_skips_nothing_and_is_made_once(clean_store: Store) -> None:
    entry = await redis(clean_store).xadd(STREAM, {"a": "1"})
    assert await make_group(clean_store, STREAM, STT_GROUP)
    assert not await make_group(clean_store, STREAM, STT_GROUP)
    ((_, entries),) = await redis(clean_store).xreadgroup(STT_GROUP, "me", {STREAM: ">"})
    assert [found for found, _ in entries] == [entry]


@pytest.mark.parametrize("filled", [True, False])
async def test_a_full_server_still_gets_its_group(clean_store: Store, filled: bool) -> None:
    if filled:
        await redis(clean_store).xadd(STREAM, {"a": "1"})
    await redis(clean_store).config_set("maxmemory", 1)
    try:
        assert await make_group(clean_store, STREAM, STT_GROUP)
    finally:
        await redis(clean_store).config_set("maxmemory", 0)
