"""What the transcriber needs of a recording: a source that knows its length and channels."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from producer.sources.source import Source


class RecordingSource(Source, Protocol):
    """A source of the whole recording, or of one of its channels."""

    @property
    def duration_s(self) -> float:
        """Length in s by the header, once it is open; 0 if the header lacks it."""

    @property
    def channels(self) -> int:
        """How many channels it has; known where one of them was asked for, once it is open."""


OpenSource = Callable[[], AbstractContextManager[RecordingSource]]
OpenChannel = Callable[[int], AbstractContextManager[RecordingSource]]
"""Opens one channel of the recording, counted from 1."""
