"""What the STT worker needs of an engine: the model that turns speech into text.

`whisper.py` is the only engine so far. Another one is a module beside it, with a function `load`.
There is no setting for it yet: `handler.py` imports the `load` of the engine.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a transcription. Its times are ms since the first sample of the audio."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Transcription:
    """What an engine heard; `text` is empty when nobody spoke.

    The scores are means over the model's segments, weighted by their duration: over those that are
    speech, or over the noise if there is nothing else. They are None where there is no segment.
    `audio_ms` is the length of the sound, `decode_ms` how long the model took.
    """

    text: str
    language: str
    language_probability: float | None
    avg_logprob: float | None
    no_speech_prob: float | None
    audio_ms: int
    decode_ms: int
    segments: tuple[Segment, ...] = ()


class Engine(Protocol):
    """A loaded model. Its methods block; the handler calls them in threads."""

    @property
    def name(self) -> str:
        """What events and logs call the model."""
        ...

    @property
    def device(self) -> str:
        """Where it computes, with the compute type: `cpu int8`."""
        ...

    def transcribe(self, samples: NDArray[np.int16], language: str) -> Transcription:
        """Transcribe mono samples at 16 kHz; `language` is a hint, or empty.

        Raises Transient when the model cannot work now.
        """
        ...

    def warm_up(self) -> None:
        """Get ready for the first utterance; raises Transient when the model cannot work now."""
        ...
