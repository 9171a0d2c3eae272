"""A session remembers for its next utterances: its language, a stock phrase, and words of its own.

Each by a script, as long as the session lasts, and none of it by a transcript that came too late.
"""

from typing import Any

from common.redis.store import Store
from common.status.sessions import Listening, read_listening, read_session
from common.transitions.claims import Settled
from common.transitions.personas import set_hotwords, set_persona
from common.transitions.tending import forget
from common.transitions.transcribing import settle_utterance
from tests.transitions.steps import (
    ADA,
    SHARD,
    hear,
    hear_eager,
    identity,
    read,
    redis,
)


async def settle(store: Store, **changes: Any) -> Settled:
    """The next waiting utterance is settled as `changes` say."""
    claim, fields = await read(store)
    how = changes if "skip" in changes else {"text": "Hallo"} | changes
    return await settle_utterance(store, claim, **identity(fields), stt_ms=3, detail={}, **how)


async def test_a_session_remembers_the_language_that_was_heard_last(clean_store: Store) -> None:
    await hear(clean_store, "u1", "u2", "u3")
    await settle(clean_store, language="de")
    assert (await read_listening(clean_store, ADA)).language == "de"
    await settle(clean_store)
    assert (await read_listening(clean_store, ADA)).language == "de"
    await settle(clean_store, language="fr")
    assert (await read_session(clean_store, ADA)).session.language == "fr"


async def test_a_phrase_is_remembered_until_the_next_transcript(clean_store: Store) -> None:
    await hear(clean_store, "u1", "u2", "u3")
    await settle(clean_store, skip="invented", phrase="thank you")
    assert (await read_listening(clean_store, ADA)).phrase_before(2) == "thank you"
    await settle(clean_store, phrase="bye")
    assert (await read_listening(clean_store, ADA)).phrase_before(3) == "bye"
    await settle(clean_store)
    assert (await read_listening(clean_store, ADA)).phrase_before(4) == ""


async def test_the_draft_of_a_turn_is_no_turn_before_it(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    await settle(clean_store, phrase="bye")
    await hear_eager(clean_store, "u2")
    await settle(clean_store, phrase="thank you")
    assert (await read_listening(clean_store, ADA)).phrase_before(2) == ""
    assert (await read_listening(clean_store, ADA)).phrase_before(3) == "thank you"


async def test_a_stale_transcript_changes_nothing(clean_store: Store) -> None:
    await hear_eager(clean_store, "u1")
    claim, fields = await read(clean_store)
    await hear_eager(clean_store, "u1", revision=2)
    settled = await settle_utterance(
        clean_store,
        claim,
        **identity(fields),
        text="Hallo",
        stt_ms=3,
        detail={},
        language="de",
        phrase="bye",
    )
    assert settled in (Settled.STALE, Settled.LOST)
    assert await read_listening(clean_store, ADA) == Listening("", "", "", "")


async def test_a_transcript_for_a_forgotten_session_begins_none(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    await redis(clean_store).delete(SHARD.session(ADA))
    await settle_utterance(
        clean_store,
        claim,
        **identity(fields),
        text="Hallo",
        stt_ms=3,
        detail={},
        language="de",
    )
    assert not await redis(clean_store).exists(SHARD.session(ADA))


async def test_words_of_ones_own_can_be_chosen_before_the_session_begins(
    clean_store: Store,
) -> None:
    await set_hotwords(clean_store, ADA, "Anja, kubectl")
    await set_persona(clean_store, ADA, "butler")
    assert await read_listening(clean_store, ADA) == Listening("", "", "Anja, kubectl", "butler")
    await set_hotwords(clean_store, ADA, "")
    assert (await read_listening(clean_store, ADA)).hotwords == ""


async def test_forget_deletes_all_of_it(clean_store: Store) -> None:
    await set_hotwords(clean_store, ADA, "Anja")
    await hear(clean_store, "u1")
    await settle(clean_store, language="de", phrase="bye")
    await forget(clean_store, ADA)
    assert await read_listening(clean_store, ADA) == Listening("", "", "", "")


async def test_all_of_it_expires_with_the_session(clean_store: Store) -> None:
    await set_hotwords(clean_store, ADA, "Anja")
    assert await redis(clean_store).pttl(SHARD.session(ADA)) > 0


async def test_a_foreign_key_in_the_place_of_a_session_is_no_hindrance(clean_store: Store) -> None:
    await redis(clean_store).set(SHARD.session(ADA), "foreign")
    assert await read_listening(clean_store, ADA) == Listening("", "", "", "")
