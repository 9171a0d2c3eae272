"""From frames to the outbox: the detector and the segmenter of one source, in their own thread.

The outbox is filled in another thread, so that a disk that hangs does not hold up the hearing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from common.audio import MS_PER_SAMPLE, SAMPLE_RATE, encode
from common.settings import ListenSettings
from common.telemetry.metrics import SKIPS
from common.traceparent import begin_trace
from common.utterance import Utterance
from producer.shipping.drafts import Draft, Drafts, DraftSender, Name
from producer.shipping.identity import clean_source_name, new_utterance_id
from producer.shipping.keeper import Keeper
from producer.shipping.outbox import Outbox
from producer.shipping.outbox_metrics import report_dropped
from producer.sources.level import LoudestLevel
from producer.sources.mute import MutableSource
from producer.sources.source import Source
from producer.speech.detector import Detector
from producer.speech.endpointing import endpointing_rules
from producer.speech.segmenter import (
    Paused,
    Resumed,
    Segmenter,
    SegmentEvent,
    Skipped,
    SpeechSegment,
    SpeechStarted,
)
from producer.storage.boot_clock import host_clock
from producer.telemetry.metrics import SPEECH

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class EarCounts:
    """How many utterances were kept and how many segments were skipped so far."""

    utterances: int = 0
    skipped: int = 0


class Ear:
    """The hearing of one source, to its end.

    `realtime`: the source runs at the speed of speech, so positions in it tell how long ago speech
    ended. `draft_sender` sends drafts of utterances at pauses, if the settings want that. While
    audio comes, it learns every `sign_s` seconds that the utterance of its draft is still open.
    `clock` (s) is by default that of the boot: a draft grows older while the host is suspended.
    """

    def __init__(
        self,
        source: Source,
        detector: Detector,
        settings: ListenSettings,
        outbox: Outbox,
        *,
        session: str,
        realtime: bool,
        added: Callable[[], None],
        draft_sender: DraftSender | None = None,
        sign_s: float = 10.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._source = source
        self._detector = detector
        self._settings = settings
        self._outbox = outbox
        self._session = session
        self._realtime = realtime
        self._added = added
        self._draft_sender = draft_sender if _is_eager(settings, realtime=realtime) else None
        self._sign_s = sign_s
        self._clock = clock or host_clock().elapsed
        self._sign_due = 0.0
        self._drafts = Drafts(new_utterance_id)
        self._interrupt = settings.interrupt == "new_turn" or (
            settings.interrupt == "auto" and source.is_live
        )
        rules = endpointing_rules(settings)
        # a silence that is as short as the pause ends before a draft could gain anything
        if self._draft_sender is not None and settings.eager_pause_s < rules.silence_s:
            rules = replace(
                rules, eager_pause_s=settings.eager_pause_s, eager_max=settings.eager_max
            )
        self._segmenter = Segmenter(rules, source.frame_samples)
        self._keeper = Keeper(self._add, self._clock, session)
        self._position = 0
        self._loudest = LoudestLevel(source.frame_samples)
        self.counts = EarCounts()

    def hear(self) -> None:
        """Hear until the source ends or is closed; an utterance that is open then is kept as well.

        Blocks. Raises BadInput where the source turns out to be damaged. Call it once.
        """
        with self._keeper:
            self._hear()

    def _hear(self) -> None:
        muted = False
        try:
            for frame in self._source:
                muted, was_muted = self._is_muted(), muted
                self._position += len(frame)
                self._loudest.push(frame)
                is_speech = self._detector.is_speech(frame)
                for event in self._segmenter.push(frame, is_speech, self._detector.is_sure):
                    self._handle(event)
                if muted and not was_muted:  # somebody who mutes has finished speaking
                    self._finish()
                self._report_ongoing_speech()
        finally:
            self._finish()

    @property
    def loudest_dbfs(self) -> float:
        """Level of the loudest half second so far, dB of full scale."""
        return self._loudest.dbfs

    def _is_muted(self) -> bool:
        return isinstance(self._source, MutableSource) and self._source.is_muted

    def _finish(self) -> None:
        for event in self._segmenter.finish():
            self._handle(event)

    def _handle(self, event: SegmentEvent) -> None:
        match event:
            case SpeechSegment():
                SPEECH.set(event.continued)
                self._keep(event)
            case Paused():
                self._offer(event.segment)
            case Resumed():
                self._drafts.mark_incomplete()
                if self._draft_sender is not None:
                    self._draft_sender.withdraw()
            case Skipped():
                self.counts.skipped += 1
                SPEECH.set(0)
                SKIPS.labels("doubtful" if event.is_doubtful else "too_short").inc()
                log.info(_why_skipped(event), session=self._session)
            case SpeechStarted():
                SPEECH.set(1)
                log.debug("speech_started", at_s=round(event.at / SAMPLE_RATE, 2))

    def _report_ongoing_speech(self) -> None:
        if self._draft_sender is None or not self._drafts.open or self._clock() < self._sign_due:
            return
        self._sign_due = self._clock() + self._sign_s
        self._draft_sender.report_ongoing_speech(self._session, self._drafts.open)

    def _offer(self, segment: SpeechSegment) -> None:
        # a draft must not overtake an utterance that is not even in the outbox
        if self._draft_sender is None or self._keeper.is_behind:
            return
        utterance = self._utterance(segment, self._drafts.name_draft(segment))
        self._sign_due = self._clock() + self._sign_s
        self._draft_sender.offer(Draft(utterance, self._clock() - self._age_s(segment)))

    def _age_s(self, segment: SpeechSegment) -> float:
        return (self._position - segment.end_of_speech) / SAMPLE_RATE if self._realtime else 0.0

    def _utterance(self, segment: SpeechSegment, name: Name) -> Utterance:
        settings = self._settings
        return Utterance(
            id=name.id,
            revision=name.revision,
            final=name.final,
            session=self._session,
            codec=settings.codec,
            rate=SAMPLE_RATE,
            samples=len(segment.samples),
            audio=encode(segment.samples, settings.codec),
            speech_ms=round(segment.speech_samples * MS_PER_SAMPLE),
            length_ms=round((segment.end_of_speech - segment.start) * MS_PER_SAMPLE),
            silence_ms=round(1000 * self._age_s(segment)),
            source=clean_source_name(self._source.name),
            language=settings.language,
            persona=settings.persona,
            interrupt=self._interrupt,
            continued=segment.continued,
            traceparent=begin_trace(name.id),
        )

    def _keep(self, segment: SpeechSegment) -> None:
        utterance = self._utterance(segment, self._drafts.name_utterance(segment))
        if self._draft_sender is not None:
            self._draft_sender.withdraw()
        self._keeper.put(utterance, self._age_s(segment))

    def _add(self, utterance: Utterance, age_s: float) -> None:
        dropped = self._outbox.add(utterance, age_s=age_s)
        if dropped is not None:
            report_dropped(self._session, dropped)
        self.counts.utterances += 1
        log.info(
            "utterance_heard",
            session=self._session,
            utterance=utterance.id,
            speech_s=round(utterance.speech_ms / 1000, 2),
            waiting=len(self._outbox),
        )
        self._added()


def _why_skipped(event: Skipped) -> str:
    if event.is_doubtful:
        return f"Skipped doubtful segment ({event.speech_s:.2f}s that were hardly speech)"
    return f"Skipped short segment ({event.speech_s:.2f}s < {event.minimum_s:g}s)"


def _is_eager(settings: ListenSettings, *, realtime: bool) -> bool:
    return realtime if settings.eager == "auto" else settings.eager == "on"
