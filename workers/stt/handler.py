"""The STT worker's handler: turns one utterance into its transcript, or ends it as noise."""

import asyncio
import contextvars
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from common.audio import decode
from common.errors import BadEntry
from common.events import SkipReason
from common.keys import SESSION_ID, STT_GROUP, UTTERANCE_ID, Shard
from common.redis.store import Store
from common.settings import SttSettings
from common.status.sessions import Listening, read_listening
from common.traceparent import trace_id
from common.transitions.claims import Claim, Failed, RetryRule, Settled
from common.transitions.transcribing import bury_utterance, fail_utterance, settle_utterance
from common.utterance import Utterance
from workers.loop.handler import Delivery, HandlerContext
from workers.stt.engine import Engine, Hints, Transcription
from workers.stt.hotwords import join_hotwords, split_hotwords
from workers.stt.whisper import load

Answer = TypeVar("Answer")

MOST_OF_A_PHRASE: Final = 200
"""Characters of a stock phrase that the session remembers; with a longer one it would be no
phrase."""

TURN: Final = re.compile(r"[1-9][0-9]{0,15}\Z")

log = structlog.get_logger(__name__)


class SttHandler:
    """Transcribes one utterance per entry. `load` makes the engine, `clock` counts seconds.

    `persona_hotwords` returns the words of one's own of a persona by its name.
    """

    role: str = "stt"
    group: str = STT_GROUP
    sessions_in_a_row: int = 1
    grace_s: float = 2.0

    def __init__(
        self,
        store: Store,
        settings: SttSettings,
        *,
        load: Callable[[SttSettings], Engine] = load,
        persona_hotwords: Callable[[str], Iterable[str]] = lambda _: (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._settings = settings
        self._load = load
        self._persona_hotwords = persona_hotwords
        self._own_hotwords = split_hotwords(settings.hotwords)
        self._clock = clock
        self._engine: Engine | None = None
        self.concurrency: int = settings.concurrency
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="stt")

    def streams(self, shard: Shard) -> Sequence[str]:
        """Return the streams of live utterances and, unless switched off, of recordings."""
        if not self._settings.recordings:
            return [shard.utterances]
        return [shard.utterances, shard.recordings]

    async def start(self, context: HandlerContext) -> None:
        """Fetch, load and warm the model; raises NoModel or BadSetting. May be cancelled."""
        context.update_record(
            recordings=self._settings.recordings,
            waits_for=f"the model {self._settings.model} is being loaded"
            " (the first time it is fetched, which may take minutes)",
        )
        began = self._clock()
        engine = self._engine = await self._in_thread(partial(self._load, self._settings))
        context.update_record(model=engine.name, device=engine.device, waits_for=None)
        log.info(
            "model_ready",
            model=engine.name,
            device=engine.device,
            took_s=round(self._clock() - began, 1),
        )

    async def handle(self, delivery: Delivery, context: HandlerContext) -> Settled:
        """Transcribe and settle one entry.

        Raises BadEntry or BadAudio (to be buried), Transient when the GPU fails, Lost.
        """
        began = self._clock()
        limits = self._store.limits
        utterance = Utterance.from_fields(delivery.fields, max_audio=limits.max_entry_bytes)
        session, turn = utterance.session, utterance.turn
        structlog.contextvars.bind_contextvars(
            session=session,
            turn=turn,
            utterance=utterance.id,
            **({"trace": trace} if (trace := trace_id(utterance.traceparent)) else {}),
        )
        if self._store.shard(session) != delivery.claim.shard:
            raise BadEntry(
                f"session {session} does not belong to shard {delivery.claim.shard.number}: the"
                " entry was added to the stream without `publish`"
            )
        listening = await context.try_once(lambda: read_listening(self._store, session))
        hints = self._hints(utterance, listening)
        heard = await self._in_thread(partial(self._transcribe, utterance, hints))
        context.note_answer()
        settled = await context.retry_until_answered(
            lambda: self._settle(delivery.claim, utterance, heard, stt_s=self._clock() - began)
        )
        log.info(
            "transcribed" if heard.text else f"skipped_{_reason(heard)}",
            chars=len(heard.text),
            audio_ms=heard.audio_ms,
            decode_ms=heard.decode_ms,
            outcome=settled.value,
        )
        log.debug("heard", text=heard.text)
        return settled

    async def _settle(
        self, claim: Claim, utterance: Utterance, heard: Transcription, *, stt_s: float
    ) -> Settled:
        """Put the transcript, or a tombstone for noise, in the entry's place."""
        return await settle_utterance(
            self._store,
            claim,
            session=utterance.session,
            turn=utterance.turn,
            utterance=utterance.id,
            stt_ms=round(1000 * stt_s),
            detail=_detail(heard, model=self._ready.name, worker=claim.consumer),
            text=heard.text or None,
            skip=None if heard.text else _reason(heard),
            language=heard.language if heard.sure_language else "",
            phrase=heard.phrase[:MOST_OF_A_PHRASE],
        )

    def _hints(self, utterance: Utterance, listening: Listening) -> Hints:
        persona = listening.persona or utterance.persona
        return Hints(
            language=utterance.language,
            remembered=listening.language,
            hotwords=join_hotwords(
                split_hotwords(listening.hotwords),
                self._persona_hotwords(persona),
                self._own_hotwords,
            ),
            voiced_s=utterance.speech_ms / 1000,
            phrase=listening.phrase_before(utterance.turn),
        )

    async def fail(
        self, delivery: Delivery, context: HandlerContext, rule: RetryRule
    ) -> Failed | Settled:
        """Count a failed try, and defer the entry; raises BadEntry if it names no session."""
        session, turn, utterance = _read_names(delivery.fields)
        if not session:
            raise BadEntry("the entry names no usable session")
        return await context.retry_until_answered(
            lambda: fail_utterance(
                self._store,
                delivery.claim,
                session=session,
                turn=turn,
                utterance=utterance,
                rule=rule,
            )
        )

    async def bury(
        self, delivery: Delivery, context: HandlerContext, *, reason: str, error: str
    ) -> Settled:
        """Move the entry to the dead letters, and end its turn if it names one."""
        session, turn, utterance = _read_names(delivery.fields)
        return await context.retry_until_answered(
            partial(
                bury_utterance,
                self._store,
                delivery.claim,
                session=session,
                turn=turn,
                utterance=utterance,
                reason=reason,
                error=error,
                deliveries=delivery.number,
                worker=delivery.claim.consumer,
            )
        )

    async def probe(self) -> None:
        """Raise Transient while the GPU fails, if there is one."""
        await self.ask_smallest()

    async def ask_smallest(self) -> None:
        """Try the GPU, if there is one; raises Transient while it fails."""
        if self._ready.device.startswith("cpu"):
            return
        await self._in_thread(self._ready.warm_up)

    async def close(self) -> None:
        """Release the model, and wait for nothing.

        When the process ends, Python waits for the thread of a transcription or a fetch under way.
        A process that must end earlier uses `os._exit`.
        """
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._engine = None

    @property
    def _ready(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the handler was not started, or is closed")
        return self._engine

    def _transcribe(self, utterance: Utterance, hints: Hints) -> Transcription:
        samples = decode(
            utterance.audio,
            utterance.codec,
            utterance.rate,
            utterance.samples,
            max_samples=round(self._store.limits.max_audio_s * utterance.rate),
        )
        return self._ready.transcribe(samples, hints)

    async def _in_thread(self, call: Callable[[], Answer]) -> Answer:
        # with the context, so that log lines from the thread name the worker and the utterance
        call = partial(contextvars.copy_context().run, call)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _read_names(fields: Mapping[bytes, bytes]) -> tuple[str, int | None, str]:
    """Return the session, turn and utterance of a broken entry, as far as they are usable."""
    session, turn, utterance = (
        fields.get(name, b"").decode(errors="replace") for name in (b"session", b"turn", b"id")
    )
    return (
        session if SESSION_ID.match(session) else "",
        int(turn) if TURN.match(turn) else None,
        utterance if UTTERANCE_ID.match(utterance) else "",
    )


def _reason(heard: Transcription) -> SkipReason:
    """Why an utterance without a text is skipped."""
    return "invented" if heard.invented else "noise"


def _detail(heard: Transcription, *, model: str, worker: str) -> dict[str, Any]:
    """Return further fields of the `transcript` or `skipped` event."""
    detail = asdict(heard) | {"model": model, "worker": worker}
    for name in ("text", "phrase", "sure_language"):
        del detail[name]
    if not heard.invented:
        del detail["invented"]
    if len(heard.segments) < 2:  # the text says it all, and Lua's JSON has no empty list
        del detail["segments"]
    return detail
