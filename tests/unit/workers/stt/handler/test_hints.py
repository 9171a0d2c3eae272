"""What a session remembers reaches the engine, and what the engine finds reaches the session."""

from dataclasses import replace

from common.events import Skipped, Transcript
from common.redis.store import Store
from common.settings import SttSettings
from common.status.sessions import read_listening
from common.transitions.personas import set_hotwords, set_persona
from tests.unit.workers.stt.handler.fake_engine import (
    NOISE,
    SAID,
    FakeContext,
    FakeEngine,
    publish_and_claim,
    read_events,
)
from workers.stt.handler import SttHandler


async def test_what_is_known_of_an_utterance_reaches_the_engine(
    store: Store, engine: FakeEngine, context: FakeContext
) -> None:
    handler = SttHandler(
        store,
        SttSettings(hotwords="earshot, Redis"),
        load=lambda _: engine,
        persona_hotwords=lambda name: {"butler": ("Jeeves", "redis")}.get(name, ()),
    )
    await handler.start(context)
    await set_hotwords(store, "s1", "Anja, Jeeves")
    await set_persona(store, "s1", "butler")
    engine.heard = replace(SAID, language="de", sure_language=True, phrase="danke")
    await handler.handle(await publish_and_claim(store, id="u1"), context)
    await handler.handle(await publish_and_claim(store, id="u2", language="nb"), context)
    first, second = (hints for _, hints in engine.got)
    assert first.hotwords == ("Anja", "Jeeves", "redis", "earshot")
    assert (first.language, first.remembered, first.phrase) == ("", "", "")
    assert (second.language, second.remembered, second.phrase) == ("nb", "de", "danke")
    assert second.voiced_s == 0.09


async def test_the_persona_of_the_producer_counts_where_the_session_has_none(
    store: Store, engine: FakeEngine, context: FakeContext
) -> None:
    handler = SttHandler(
        store, SttSettings(), load=lambda _: engine, persona_hotwords=lambda name: (name,)
    )
    await handler.start(context)
    await handler.handle(await publish_and_claim(store, persona="butler"), context)
    assert engine.got[0][1].hotwords == ("butler",)


async def test_a_guess_is_not_remembered(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeContext
) -> None:
    engine.heard = replace(SAID, language="de", sure_language=False)
    await handler.handle(await publish_and_claim(store), context)
    assert (await read_listening(store, "s1")).language == ""


async def test_invented_text_is_shown_with_its_scores_and_answered_by_nobody(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeContext
) -> None:
    engine.heard = replace(NOISE, invented="Thanks for watching!", phrase="thanks for watching")
    await handler.handle(await publish_and_claim(store), context)
    skipped = (await read_events(store))[-1]
    assert isinstance(skipped, Skipped)
    assert (skipped.data.reason, skipped.data.into) == ("invented", None)
    detail = skipped.data.detail
    assert detail is not None
    assert detail["invented"] == "Thanks for watching!"
    assert (detail["no_speech_prob"], detail["avg_logprob"]) == (0.95, -2.0)
    assert not {"text", "phrase", "sure_language"} & detail.keys()
    assert (await read_listening(store, "s1")).phrase_before(2) == "thanks for watching"


async def test_what_was_dropped_from_a_transcript_stands_in_its_event(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeContext
) -> None:
    engine.heard = replace(SAID, invented="Bye.")
    await handler.handle(await publish_and_claim(store), context)
    transcript = (await read_events(store))[-1]
    assert isinstance(transcript, Transcript)
    assert (transcript.data.text, transcript.data.invented) == ("Hello there.", "Bye.")
