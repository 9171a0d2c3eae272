"""The persona of one conversation: set_persona."""

from typing import Final

from common.redis.script import Script
from common.redis.store import Store

SET: Final = Script("set_persona")


async def set_persona(store: Store, session: str, persona: str) -> None:
    """Choose the persona of a session, which need not exist yet. Empty: no choice.

    The choice lasts as long as the session (`limits.session_ttl_s`, or until it is forgotten).
    Raises Refused when a foreign key is in the way.
    """
    await store.run(SET, session, persona=persona)
