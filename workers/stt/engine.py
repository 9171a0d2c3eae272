"""What the STT worker needs of an engine: the model that turns speech into text.

`whisper.py` is the only engine so far. Another one is a module beside it, with a function `load`.
There is no setting for it yet: `handler.py` imports the `load` of the engine.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a transcription. Its times are ms since the first sample of the audio."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of an utterance before the model hears it.

    `language`: what its producer says. `remembered`: the code of the language that was last spoken
    in its session. `hotwords`: names and words that may occur. `voiced_s`: how long the detector
    heard a voice (s); 0: unknown. `phrase`: the stock phrase that the turn before it consisted of.
    """

    language: str = ""
    remembered: str = ""
    hotwords: tuple[str, ...] = ()
    voiced_s: float = 0.0
    phrase: str = ""


NO_HINTS: Final = Hints()


@dataclass(frozen=True, slots=True)
class Transcription:
    """What an engine heard; `text` is empty when nobody spoke.

    The scores are means over the model's segments, weighted by their duration: over those that are
    speech, or over the noise if there is nothing else. They are None where there is no segment.
    `audio_ms` is the length of the sound, `decode_ms` how long the model took. `invented` is text
    of the model that was dropped. `phrase` is the stock phrase that the model wrote and nothing
    else, whether or not it was dropped. `sure_language`: whether the session may remember the
    language.
    """

    text: str
    language: str
    language_probability: float | None
    avg_logprob: float | None
    no_speech_prob: float | None
    audio_ms: int
    decode_ms: int
    segments: tuple[Segment, ...] = ()
    invented: str = ""
    phrase: str = ""
    sure_language: bool = False


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

    def transcribe(self, samples: NDArray[np.int16], hints: Hints) -> Transcription:
        """Transcribe mono samples at 16 kHz.

        Raises Transient when the model cannot work now.
        """
        ...

    def warm_up(self) -> None:
        """Get ready for the first utterance; raises Transient when the model cannot work now."""
        ...
