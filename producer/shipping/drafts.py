"""Drafts: what is sent of an utterance before its end is certain, and under which revision.

Paused          the audio so far goes out as revision n, not final
Resumed         that draft is incomplete: the next one is revision n + 1
the end         no speech after the draft: revision n is committed
                speech after the draft: the whole utterance goes out as revision n + 1, final
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from common.utterance import Utterance
from producer.speech.segmenter import SpeechSegment


@dataclass(frozen=True, slots=True)
class Draft:
    """An utterance that may not be over: `final` is not set."""

    utterance: Utterance
    spoken_at: float
    """When its speech ended so far, by the clock of this boot (s)."""


class DraftSender(Protocol):
    """A sender of drafts. It may lose a draft: the whole utterance goes through the outbox."""

    def offer(self, draft: Draft) -> None:
        """Send this draft instead of an older one, unless something else comes first."""

    def withdraw(self) -> None:
        """Drop the draft that has not gone out yet."""

    def report_ongoing_speech(self, session: str, utterance: str) -> None:
        """Say that the utterance of an offered draft is still open."""


@dataclass(frozen=True, slots=True)
class Name:
    """The id and the revision of an utterance. Not final: a draft, or the commit of a draft."""

    id: str
    revision: int
    final: bool


class Drafts:
    """The names of one stream's utterances: a state machine over the events of its segmenter."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._id = ""
        self._revision = 0
        self._start = -1
        self._end: int | None = None  # of the speech in the latest draft; None: more came after it

    @property
    def open(self) -> str:
        """The id of the utterance that has a draft and has not ended; empty if there is none."""
        return self._id

    def name_draft(self, segment: SpeechSegment) -> Name:
        """Return the name of a new draft."""
        if self._start != segment.start:
            self._id, self._revision, self._start = self._new_id(), 0, segment.start
        self._revision += 1
        self._end = segment.end_of_speech
        return Name(self._id, self._revision, final=False)

    def mark_incomplete(self) -> None:
        """Note that the latest draft is incomplete."""
        self._end = None

    def name_utterance(self, segment: SpeechSegment) -> Name:
        """Return the name of an utterance that has ended, or was cut at its maximum length."""
        if not self._id or self._start != segment.start:
            name = Name(self._new_id(), 1, final=True)
        elif self._end == segment.end_of_speech and not segment.continued:
            name = Name(self._id, self._revision, final=False)
        else:
            name = Name(self._id, self._revision + 1, final=True)
        self._id, self._start, self._end = "", -1, None
        return name
