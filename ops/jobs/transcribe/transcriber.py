"""Transcribing one recording: it is cut into segments, STT workers transcribe them, and the lines
are put together.

Nothing is kept on disk. The recording is there, and the results hold the outcomes of its segments.
A run that was killed starts again at the beginning of the recording, with the same utterance ids.
So Redis does not accept a segment twice, and no segment with a transcript is transcribed again.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import structlog

from common.audio import SAMPLE_RATE
from common.backoff import jitter
from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import Subscriber
from common.settings import ListenSettings
from common.status.sessions import unfinished_utterances
from common.transitions.publishing import Verdict, publish
from ops.jobs.transcribe.recording_source import OpenChannel, OpenSource
from ops.jobs.transcribe.segment_results import SegmentResults, utterance_id
from ops.jobs.transcribe.transcript import FailedSegment, SegmentText, Span, Transcript
from producer.recording import RecordingCutter, choose_gain_db, utterance_of
from producer.sources.level import QUIETEST_DBFS
from producer.sources.source import Source
from producer.speech.segmenter import SpeechSegment

FULL_PAUSE_S: Final = 1.0
POLL_S: Final = 0.5
LOST_AFTER_S: Final = 5.0
"""A segment without an outcome is sent again if Redis has not known it for this long. If that is
too short, the segment is transcribed twice, which does no harm."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Run:
    """The identity of a run. `id` is unique; `since` is the last entry of the results before it."""

    id: str
    session: str
    since: str


@dataclass(slots=True)
class Progress:
    """The progress of a run. Times are in s of the recording.

    `held_up` says at which limit it waits, which is normal for long recordings. `waits_for` says
    what a person must do.
    """

    duration_s: float = 0.0
    cut_s: float = 0.0
    done_s: float = 0.0
    segments: int = 0
    done: int = 0
    held_up: str = ""
    waits_for: str = ""


@dataclass(slots=True)
class _SentSegments:
    """Segments that were published and have no outcome yet, by utterance id."""

    spans: dict[str, Span] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    """Those that Redis did not know when it was asked last."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Transcriber:
    """Transcribes one recording. `progress` may be read meanwhile."""

    def __init__(self, store: Store, link: Link, settings: ListenSettings, run: Run) -> None:
        self._store = store
        self._link = link
        self._settings = settings
        self._run = run
        self._results = SegmentResults(run.id)
        self._sent = _SentSegments()
        self._attempts: Counter[Span] = Counter()
        self._failure: Exception | None = None
        self._channels = 1
        """Those that are kept apart."""
        self._before_s = 0.0
        """Seconds that were cut of the channels before this one."""
        self._length_s = 0.0
        self.progress = Progress()
        self.loudest_dbfs = QUIETEST_DBFS
        """Level of the loudest half second of the recording, dB of full scale."""

    async def transcribe(
        self, open_source: OpenSource, file: str, open_channel: OpenChannel | None = None
    ) -> Transcript:
        """Return all speech of the recording, in order; with `open_channel` of each channel.

        Raises BadInput if the file is no recording, Refused if Redis will never accept a segment,
        and BadEntry if somebody has deleted the session.
        """
        cursors = await self._catch_up()
        following = asyncio.create_task(self._follow(cursors))
        try:
            while True:
                spans, damage = await self._send_all(open_source, open_channel)
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
        """Read the outcomes of earlier attempts at this run; return where to read on."""
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
                        self._sent.spans.pop(received.event.id, None)
                        self._update_progress()
        except Exception as error:
            self._failure = error
        self._update_progress()

    def _update_progress(self) -> None:
        progress = self.progress
        progress.done = len(self._results)
        first = min(self._sent.spans.values(), default=None)
        progress.done_s = progress.cut_s if first is None else first.start / SAMPLE_RATE
        self._sent.changed.set()

    # -- cutting and sending

    async def _send_all(
        self, open_source: OpenSource, open_channel: OpenChannel | None
    ) -> tuple[list[Span], str]:
        """Send every segment without an outcome; return all segments in order, and the damage."""
        self._before_s = self._length_s = 0.0
        self.progress.segments = 0
        if open_channel is None:
            return await self._send_channel(open_source, 0)
        spans: list[Span] = []
        damage, channel = "", 0
        self._channels = 1
        while channel < self._channels:
            channel += 1
            found, why = await self._send_channel(partial(open_channel, channel), channel)
            spans += found
            damage = damage or why
            self._before_s = self.progress.cut_s
        return sorted(spans), damage

    async def _send_channel(self, open_source: OpenSource, channel: int) -> tuple[list[Span], str]:
        """Send one channel, counted from 1; 0 if they are mixed.

        A quiet one is cut a second time, as somebody would hear it who turns up the volume.
        """
        spans, cutter = await self._cut_and_send(open_source, channel, 0.0)
        if gain_db := choose_gain_db(cutter.loudest_dbfs):
            self.progress.segments -= len(spans)
            spans, cutter = await self._cut_and_send(open_source, channel, gain_db)
        self._length_s = max(self._length_s, cutter.position_s)
        self.loudest_dbfs = max(self.loudest_dbfs, cutter.loudest_dbfs)
        return spans, cutter.damage

    async def _cut_and_send(
        self, open_source: OpenSource, channel: int, gain_db: float
    ) -> tuple[list[Span], RecordingCutter]:
        spans: list[Span] = []
        with ExitStack() as stack:
            opening = stack.push(open_source())  # before it is open: this may be cancelled
            source = await asyncio.to_thread(opening.__enter__)
            if channel:
                self._channels = source.channels
            self.progress.duration_s = source.duration_s * self._channels
            cutter = RecordingCutter(source, self._settings, gain_db)
            segments = iter(cutter)
            while (segment := await self._cut_next(segments, cutter, source)) is not None:
                span = Span(segment.start, len(segment.samples), channel)
                spans.append(span)
                self.progress.segments += 1
                if span not in self._results:
                    await self._send(segment, span, source.name)
                self._raise_failure()
        return spans, cutter

    async def _cut_next(
        self, segments: Iterator[SpeechSegment], cutter: RecordingCutter, source: Source
    ) -> SpeechSegment | None:
        """Return the next segment. A thread cuts it: an hour of silence must block nothing else."""
        reading = asyncio.create_task(asyncio.to_thread(next, segments, None))
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=POLL_S)
                self.progress.cut_s = self._before_s + cutter.position_s
                self._update_progress()
        except asyncio.CancelledError:
            source.close()  # ends the thread, which must not read from a closed file
            await asyncio.wait({reading})
            raise
        return reading.result()

    async def _send(self, segment: SpeechSegment, span: Span, name: str) -> None:
        """Publish one segment. It waits as long as needed, so that the order stays."""
        utterance = utterance_of(
            segment, self._settings, utterance="-", session=self._run.session, source=name
        )
        while True:
            utterance = utterance.model_copy(
                update={"id": utterance_id(self._run.id, span, self._attempts[span])}
            )
            self._sent.spans[utterance.id] = span
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
            self._sent.spans.pop(utterance.id, None)

    # -- waiting

    async def _wait_for_outcomes(self) -> None:
        """Wait until every segment that was sent has an outcome, or must be sent again."""
        while self._sent.spans:
            self._raise_failure()
            self._sent.changed.clear()
            try:
                async with asyncio.timeout(LOST_AFTER_S):
                    await self._sent.changed.wait()
            except TimeoutError:
                await self._find_lost()
        self._raise_failure()

    async def _find_lost(self) -> None:
        """Find segments that Redis has lost. A segment that is missing twice will be sent again.

        Redis loses them when it is flushed, or restored from a backup, or when results are deleted
        because they are too old or too many.
        """
        outages = self._link.outages
        known = await self._link.retry_until_answered(
            unfinished_utterances, self._store, self._run.session
        )
        missing = self._sent.spans.keys() - known
        if outages == self._link.outages:
            for utterance in missing & self._sent.missing:
                log.warning("segment_sent_again", utterance=utterance)
                self._send_again(utterance)
        self._sent.missing = missing

    def _send_again(self, utterance: str) -> None:
        """Let the segment be sent again, with a new utterance id."""
        self._attempts[self._sent.spans.pop(utterance)] += 1

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _assemble(self, file: str, spans: list[Span], damage: str) -> Transcript:
        outcomes = [self._results.by_span[span] for span in spans]
        texts = [one for one in outcomes if isinstance(one, SegmentText)]
        lines = tuple(line for text in texts for line in text.lines)
        self.progress = replace(self.progress, done_s=self.progress.cut_s, waits_for="")
        return Transcript(
            file=file,
            duration_s=round(self._length_s, 3),
            lines=tuple(sorted(lines, key=lambda line: line.start_s))
            if self._channels > 1
            else lines,
            holes=tuple(one for one in outcomes if isinstance(one, FailedSegment)),
            language=_commonest(text.language for text in texts if text.lines),
            model=_commonest(text.model for text in texts if text.lines),
            damage=damage,
        )


def _commonest(names: Iterator[str]) -> str:
    counted = Counter(names).most_common(1)
    return counted[0][0] if counted else ""
