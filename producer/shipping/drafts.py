"""Drafts: what is sent of an utterance before its end is certain, and under which revision.

Paused          the audio so far, as revision n, not final
Resumed         that draft is incomplete: whatever comes next is revision n + 1
the end         of just what the draft held: to be committed as revision n
                of more than that: revision n + 1, whole and final
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
    """When its speech ended, so far, by the monotonic clock (s)."""


class DraftSender(Protocol):
    """Who sends drafts. Nothing is promised of a draft: the utterance goes through the outbox."""

    def offer(self, draft: Draft) -> None:
        """Send this, unless something else comes first; it takes the place of an older one."""

    def withdraw(self) -> None:
        """Send no draft that has not gone out yet."""

    def report_ongoing_speech(self, session: str, utterance: str) -> None:
        """Speech of which a draft was offered goes on, or its silence does."""


@dataclass(frozen=True, slots=True)
class Name:
    """Under what an utterance goes out. Not final: a draft, or the end of just that draft."""

    id: str
    revision: int
    final: bool


class Drafts:
    """Names the utterances of one stream: a state machine over what its segmenter says."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._id = ""
        self._revision = 0
        self._start = -1
        self._end: int | None = None  # of the speech in the latest draft; None: there was more

    @property
    def open(self) -> str:
        """The id of the utterance that a draft was made of and that has not ended; or empty."""
        return self._id

    def paused(self, segment: SpeechSegment) -> Name:
        """The name of a new draft."""
        if self._start != segment.start:
            self._id, self._revision, self._start = self._new_id(), 0, segment.start
        self._revision += 1
        self._end = segment.end_of_speech
        return Name(self._id, self._revision, final=False)

    def resumed(self) -> None:
        """The latest draft is incomplete."""
        self._end = None

    def ended(self, segment: SpeechSegment) -> Name:
        """The name of an utterance that is over, or that was cut at its maximum length."""
        if not self._id or self._start != segment.start:
            name = Name(self._new_id(), 1, final=True)
        elif self._end == segment.end_of_speech and not segment.continued:
            name = Name(self._id, self._revision, final=False)
        else:
            name = Name(self._id, self._revision + 1, final=True)
        self._id, self._start, self._end = "", -1, None
        return name
