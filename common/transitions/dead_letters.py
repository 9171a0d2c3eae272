"""The dead-letter command's transitions: replay and drop_letter."""

from typing import Final

from common.keys import Shard
from common.redis.script import Script
from common.redis.store import Store, ms
from common.transitions.publishing import Published, parse_published

REPLAY: Final = Script("replay")
DROP_LETTER: Final = Script("drop_letter")


async def replay(
    store: Store, shard: Shard, letter: str, *, session: str, utterance: str
) -> Published | None:
    """Turn a dead letter into a new utterance, with the new id `utterance`, in one step.

    Return None if there is no such letter. Raises Refused if it cannot be replayed.
    """
    answer = await store.run(
        REPLAY,
        session,
        letter_id=letter,
        utterance=utterance,
        seen_ttl_ms=ms(store.limits.seen_ttl_s),
        max_backlog=store.limits.max_backlog,
        max_unanswered=store.limits.max_unanswered,
        keys={
            "utterances": shard.utterances,
            "seen_key": shard.seen(utterance),
            **shard.letters,
        },
        shard=shard,
    )
    return None if answer[0] == b"gone" else parse_published(answer)


async def drop_letter(store: Store, shard: Shard, letter: str) -> bool:
    """Delete a dead letter for good; return False if there is none."""
    return bool(await DROP_LETTER(store.redis, shard.letters, letter_id=letter))
