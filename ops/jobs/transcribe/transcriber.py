"""One recording through the STT pool: it is cut, published behind live speech, and collected.

It keeps nothing on disk: the recording is the source, and the results hold the outcomes of its
segments. A run that was killed starts again at the recording's beginning, with the same utterance
ids. What Redis knows is not sent again, and what has a transcript is not transcribed again.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from common.audio import SAMPLE_RATE
from common.backoff import jitter
from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import Subscriber
from common.settings import ListenSettings
from common.status.sessions import unfinished_utterances
from common.transitions.publishing import Verdict, publish
from ops.jobs.transcribe.segment_results import SegmentResults, utterance_id
from ops.jobs.transcribe.transcript import FailedSegment, SegmentText, Span, Transcript
from producer.recording import RecordingCutter, utterance_of
from producer.sources.source import Source
from producer.speech.segmenter import SpeechSegment

FULL_PAUSE_S: Final = 1.0
POLL_S: Final = 0.5
LOST_AFTER_S: Final = 5.0
"""A segment without an outcome that Redis does not know for this long is sent again. A shorter time
would at worst cost a second transcription."""

log = structlog.get_logger(__name__)


class RecordingSource(Source, Protocol):
    @property
    def duration_s(self) -> float: ...


Open = Callable[[], AbstractContextManager[RecordingSource]]


@dataclass(frozen=True, slots=True)
class Run:
    """The identity of a run: `id` is unique, `since` is the results' entry id at its start."""

    id: str
    session: str
    since: str


@dataclass(slots=True)
class Progress:
    """The progress of a run; times in s of the recording.

    `held_up`: the limit at which it waits, as long recordings do. `waits_for`: a problem that a
    person can solve.
    """

    duration_s: float = 0.0
    cut_s: float = 0.0
    done_s: float = 0.0
    segments: int = 0
    done: int = 0
    held_up: str = ""
    waits_for: str = ""


@dataclass(slots=True)
class _Waiting:
    """Segments that were published and have no outcome yet."""

    spans: dict[str, Span] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Transcriber:
    """The transcription of one recording; `progress` may be read meanwhile."""

    def __init__(self, store: Store, link: Link, settings: ListenSettings, run: Run) -> None:
        self._store = store
        self._link = link
        self._settings = settings
        self._run = run
        self._results = SegmentResults(run.id)
        self._waiting = _Waiting()
        self._attempts: Counter[Span] = Counter()
        self._failure: Exception | None = None
        self.progress = Progress()

    async def transcribe(self, open_source: Open, file: str) -> Transcript:
        """Return everything said in the recording, in order.

        Raises BadInput for what is no recording, Refused for what Redis will never accept, and
        BadEntry when somebody has deleted the session.
        """
        cursors = await self._catch_up()
        following = asyncio.create_task(self._follow(cursors))
        try:
            while True:
                spans, damage = await self._send_all(open_source)
                await self._wait_for_outcomes()
                if all(span in self._results for span in spans):
                    break
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        return self._assemble(file, spans, damage)

    # -- outcomes of the segments

    def _subscriber(self, cursors: dict[str, str], *, follow: bool) -> Subscriber:
        return Subscriber(
            self._store,
            self._link,
            since=self._run.since,
            deltas=False,
            session=self._run.session,
            follow=follow,
            cursors=cursors,
        )

    async def _catch_up(self) -> dict[str, str]:
        """Read what an earlier attempt at this run left in the results; return where to go on."""
        subscriber = self._subscriber({}, follow=False)
        async with aclosing(subscriber.events()) as events:
            async for received in events:
                self._results.note(received.event)
        return subscriber.cursors

    async def _follow(self, cursors: dict[str, str]) -> None:
        try:
            async with aclosing(self._subscriber(cursors, follow=True).events()) as events:
                async for received in events:
                    if self._results.note(received.event) is not None:
                        self._waiting.spans.pop(received.event.id, None)
                        self._update_progress()
        except Exception as error:
            self._failure = error
        self._update_progress()

    def _update_progress(self) -> None:
        progress, open_ = self.progress, self._waiting.spans.values()
        progress.done = len(self._results)
        first = min(open_, default=None)
        progress.done_s = progress.cut_s if first is None else first.start / SAMPLE_RATE
        self._waiting.changed.set()

    # -- cutting and sending

    async def _send_all(self, open_source: Open) -> tuple[list[Span], str]:
        """Send every segment that has no outcome; return all segments, and the damage."""
        spans: list[Span] = []
        with ExitStack() as stack:
            opening = stack.push(open_source())  # before it is open: this may be cancelled
            source = await asyncio.to_thread(opening.__enter__)
            self.progress.duration_s = source.duration_s
            cutting = RecordingCutter(source, self._settings)
            segments = iter(cutting)
            while (segment := await self._next(segments, cutting, source)) is not None:
                span = Span(segment.start, len(segment.samples))
                spans.append(span)
                self.progress.segments = len(spans)
                if span not in self._results:
                    await self._send(segment, span, source.name)
                self._raise_failure()
        return spans, cutting.damage

    async def _next(
        self, segments: Iterator[SpeechSegment], cutting: RecordingCutter, source: Source
    ) -> SpeechSegment | None:
        """Return the next segment, cut in a thread: an hour of silence must block nothing else."""
        reading = asyncio.create_task(asyncio.to_thread(next, segments, None))
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=POLL_S)
                self.progress.cut_s = cutting.position_s
                self._update_progress()
        except asyncio.CancelledError:
            source.close()  # its file stays open while the thread reads it
            await asyncio.wait({reading})
            raise
        return reading.result()

    async def _send(self, segment: SpeechSegment, span: Span, name: str) -> None:
        """Publish one segment, however long that takes, to keep the recording's order."""
        utterance = utterance_of(
            segment, self._settings, utterance="-", session=self._run.session, source=name
        )
        while True:
            utterance = utterance.model_copy(
                update={"id": utterance_id(self._run.id, span, self._attempts[span])}
            )
            self._waiting.spans[utterance.id] = span
            answer = await self._link.retry_until_answered(
                publish, self._store, utterance, recording=True
            )
            self.progress.held_up = answer.why
            match answer.verdict:
                case Verdict.FULL:
                    self._raise_failure()
                    await asyncio.sleep(jitter(FULL_PAUSE_S))
                case Verdict.CLOSED:
                    self._send_again(utterance.id)
                case _:
                    break
        if span in self._results:
            self._waiting.spans.pop(utterance.id, None)

    # -- waiting

    async def _wait_for_outcomes(self) -> None:
        """Wait until every segment that was sent has an outcome, or must be sent again."""
        while self._waiting.spans:
            self._raise_failure()
            self._waiting.changed.clear()
            try:
                async with asyncio.timeout(LOST_AFTER_S):
                    await self._waiting.changed.wait()
            except TimeoutError:
                await self._find_lost()
        self._raise_failure()

    async def _find_lost(self) -> None:
        """Find segments that Redis has lost; one that is missing twice in a row is sent again.

        That happens when Redis was flushed or restored, or when the results were trimmed.
        """
        outages = self._link.outages
        known = await self._link.retry_until_answered(
            unfinished_utterances, self._store, self._run.session
        )
        missing = self._waiting.spans.keys() - known
        if outages == self._link.outages:
            for utterance in missing & self._waiting.missing:
                log.warning("segment_sent_again", utterance=utterance)
                self._send_again(utterance)
        self._waiting.missing = missing

    def _send_again(self, utterance: str) -> None:
        self._attempts[self._waiting.spans.pop(utterance)] += 1

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _assemble(self, file: str, spans: list[Span], damage: str) -> Transcript:
        ended = [self._results.by_span[span] for span in spans]
        said = [one for one in ended if isinstance(one, SegmentText)]
        self.progress = replace(self.progress, done_s=self.progress.cut_s, waits_for="")
        return Transcript(
            file=file,
            duration_s=round(self.progress.cut_s, 3),
            lines=tuple(line for one in said for line in one.lines),
            holes=tuple(one for one in ended if isinstance(one, FailedSegment)),
            language=_commonest(one.language for one in said if one.lines),
            model=_commonest(one.model for one in said if one.lines),
            damage=damage,
        )


def _commonest(names: Iterator[str]) -> str:
    counted = Counter(names).most_common(1)
    return counted[0][0] if counted else ""
