"""How far a reader of the results has read, as one word: the id of a server-sent event.

The reader has a place in each shard's two streams, and the word holds all of them:
`0r1700000000000-3_0d1700000000001-0` means entry 1700000000000-3 of shard 0's results and
1700000000001-0 of its deltas.
"""

import re
from collections.abc import Mapping
from typing import Final

from common.entry_id import FORM, OLDEST, sort_key
from common.errors import BadInput
from common.redis.store import Store

# stream -> the last entry id that was read
Cursors = dict[str, str]

PART: Final = re.compile(rf"([0-9]{{1,5}})([rd])({FORM})")


def encode(cursors: Mapping[str, str], store: Store) -> str:
    """Encode the places in all streams of `store`; a stream without a place counts as unread."""
    parts = []
    for shard in store.all_shards():
        for kind, stream in (("r", shard.results), ("d", shard.deltas)):
            parts.append(f"{shard.number}{kind}{cursors.get(stream, OLDEST)}")
    return "_".join(parts)


def decode(word: str, store: Store) -> Cursors:
    """Decode a word of `encode`; raises BadInput for any other word."""
    cursors: Cursors = {}
    shards = {str(shard.number): shard for shard in store.all_shards()}
    for part in word.split("_"):
        found = PART.fullmatch(part)
        if found is None or found[1] not in shards:
            raise BadInput("that is no event id of this dashboard: connect without one")
        shard = shards[found[1]]
        cursors[shard.results if found[2] == "r" else shard.deltas] = found[3]
    return cursors


def is_before(entry: str, other: str) -> bool:
    """Tell whether a stream entry comes before another one of its stream, or is the same."""
    return sort_key(entry) <= sort_key(other)
