"""What somebody chooses for one conversation: set_persona and set_hotwords."""

from typing import Final

from common.redis.script import Script
from common.redis.store import Store

SET: Final = Script("set_persona")
SET_HOTWORDS: Final = Script("set_hotwords")


async def set_persona(store: Store, session: str, persona: str) -> None:
    """Choose the persona of a session, which need not exist yet. Empty: no choice.

    The choice lasts as long as the session (`limits.session_ttl_s`, or until it is forgotten).
    Raises Refused when a foreign key is in the way.
    """
    await store.run(SET, session, persona=persona)


async def set_hotwords(store: Store, session: str, hotwords: str) -> None:
    """Choose the words of a session, separated by commas, that STT expects. Empty: none.

    The session need not exist yet, and the choice lasts as long as it. Raises Refused when a
    foreign key is in the way.
    """
    await store.run(SET_HOTWORDS, session, hotwords=hotwords)
