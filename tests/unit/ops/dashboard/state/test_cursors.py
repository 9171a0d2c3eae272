"""An event id names the place in every stream, and no other word is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from common.errors import BadInput
from common.redis.store import Store
from common.settings import LimitSettings
from ops.dashboard.state.cursors import decode, encode, is_before

STORE = Store(Redis(), 3, LimitSettings())
ENTRIES = st.builds("{}-{}".format, st.integers(0, 10**18), st.integers(0, 10**18))
STREAMS = [name for shard in STORE.all_shards() for name in (shard.results, shard.deltas)]


@given(st.fixed_dictionaries(dict.fromkeys(STREAMS, ENTRIES)))
def test_it_comes_back_as_it_was(cursors: dict[str, str]) -> None:
    assert decode(encode(cursors, STORE), STORE) == cursors


def test_a_stream_that_was_never_read_begins_at_its_start() -> None:
    assert set(decode(encode({}, STORE), STORE).values()) == {"0-0"}


@pytest.mark.parametrize(
    "word", ["", "0", "0r1", "3r1-1", "0x1-1", "0r1-1_", "0r-1-1", "0r1-1\n", "٠r1-1", "00r1-1"]
)
def test_another_word_is_refused(word: str) -> None:
    with pytest.raises(BadInput, match="event id"):
        decode(word, STORE)


def test_entries_are_compared_as_numbers() -> None:
    assert is_before("9-2", "10-1")
    assert is_before("10-2", "10-10")
    assert is_before("10-2", "10-2")
    assert not is_before("10-3", "10-2")
