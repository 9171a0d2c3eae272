"""One run of the producer for `earshot listen`: what it opens, and what it shows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from common.errors import EarshotError
from common.keys import check_session_id
from common.redis.link import Link
from common.redis.opening import make_link, open_store, wait_for_redis
from common.redis.store import Store
from common.settings import Settings
from common.telemetry.monitoring import serve_monitoring
from common.telemetry.tracing import open_recorder
from ops.cli.terminal.listen_display import ListenDisplay
from ops.cli.terminal.mute_signal import MuteSignal
from producer.listen import listen
from producer.microphone.devices import strip_card_number
from producer.readiness import describe_problem, explain_not_ready
from producer.shipping.identity import default_session
from producer.shipping.outbox import Outbox
from producer.shipping.outbox_folder import open_outbox
from producer.shipping.outbox_metrics import OutboxCollector
from producer.sources.mute import MutableSource, Mute
from producer.sources.source import Source
from producer.speech.detector_choice import choose_detector
from producer.speech.speech_timer import SpeechTimer


@dataclass(frozen=True, slots=True)
class _Parts:
    session: str
    outbox: Outbox
    store: Store
    link: Link


@dataclass(frozen=True, slots=True)
class ProducerRun:
    """A source, the switch that mutes it, and the signals that turn the switch.

    With `realtime` the source delivers audio at the speed of speech.
    """

    settings: Settings
    source: Source
    mute: Mute
    signals: MuteSignal
    realtime: bool

    async def run(self, stop: asyncio.Event) -> None:
        """Listen to the source until its end, or until `stop` is set. Raises what it raises."""
        detector = SpeechTimer(choose_detector(self.settings.listen))
        source = MutableSource(self.source, self.mute)
        async with AsyncExitStack() as stack:
            if not await _open_source(source, stop):
                return
            stack.push(source)
            parts = await stack.enter_async_context(self._open_parts())
            await self._listen(source, detector, parts, stop)

    def _choose_session(self) -> str:
        source = self.source
        name = strip_card_number(source.name) if source.is_live else Path(source.name).stem
        if channel := self.settings.listen.channel:  # each channel is another speaker
            name = f"{name[:40]}-channel-{channel}"
        return check_session_id(self.settings.listen.session or default_session(name))

    @asynccontextmanager
    async def _open_parts(self) -> AsyncIterator[_Parts]:
        """Open the outbox of the session, the connection to Redis and the health pages."""
        settings, session = self.settings, self._choose_session()
        async with AsyncExitStack() as stack:
            outbox = stack.enter_context(open_outbox(settings.listen, session))
            traces = stack.enter_context(open_recorder(settings.traces, "listen", session))
            store = await stack.enter_async_context(open_store(settings, traces))
            link = make_link(store, settings)
            pages = serve_monitoring(
                settings.metrics,
                ready=partial(explain_not_ready, self.source, link, outbox),
                collectors=[OutboxCollector(outbox)],
            )
            await stack.enter_async_context(pages)
            yield _Parts(session, outbox, store, link)

    async def _listen(
        self,
        source: MutableSource,
        detector: SpeechTimer,
        parts: _Parts,
        stop: asyncio.Event,
    ) -> None:
        """Show the run on the terminal while `producer.listen` works."""
        settings, outbox, link = self.settings, parts.outbox, parts.link
        problem = partial(describe_problem, self.source, link, outbox)
        display = ListenDisplay(source, self.mute, detector, outbox, problem)
        reads_stdin = self.source.name == "stdin"
        with display.show(settings.log, self.signals, reads_stdin=reads_stdin):
            await listen(
                source,
                detector,
                settings.listen,
                outbox,
                parts.store,
                link,
                partial(wait_for_redis, link, parts.store, settings),
                stop,
                session=parts.session,
                realtime=self.realtime,
                watch=display.follow,
            )


async def _open_source(source: Source, stop: asyncio.Event) -> bool:
    """Open the source; return False if `stop` is set before. A sound server may take very long."""
    opening = asyncio.create_task(asyncio.to_thread(source.__enter__))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if opening.done():
        opening.result()
        return True
    source.close()
    with suppress(EarshotError):
        await opening
        source.__exit__(None, None, None)
    return False
