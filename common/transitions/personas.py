"""The persona of one conversation: set_persona."""

from typing import Final

from common.redis.script import Script
from common.redis.store import Store

SET: Final = Script("set_persona")


async def set_persona(store: Store, session: str, persona: str) -> None:
    """Choose who answers in a session, now or when it begins; empty: nobody in particular.

    It lasts as long as the session does (`limits.session_ttl_s`, or until it is forgotten).
    Raises Refused when a foreign key is in the way.
    """
    await store.run(SET, session, persona=persona)
