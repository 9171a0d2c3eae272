"""Encoding and decoding the audio of an utterance.

Inside earshot audio is 16 kHz mono int16. `flac` halves its size without loss; `pcm_s16le` is for
clients that cannot encode. Decoding trusts neither the bytes nor what is announced about them.

What is accepted: an utterance from a client is 16 kHz mono (`decode`). A recording may have every
rate of RECORDING_RATES and up to MAX_CHANNELS channels (`check_recording`).
"""

import io
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from common.errors import BadAudio, BadInput

# importing it loads Pydantic, which a process that decodes one recording must not wait for
if TYPE_CHECKING:
    from common.utterance import Codec

SAMPLE_RATE: Final = 16_000
"""Hz. Whisper's rate, and the highest one that improves WebRTC's detector."""

MS_PER_SAMPLE: Final = 1000 / SAMPLE_RATE

FULL_SCALE: Final = 32_768
"""The int16 value for 1.0; the largest int16 is one less."""

CODECS: Final = ("flac", "pcm_s16le")
"""The values of `Codec`."""

RECORDING_RATES: Final = range(4_000, 768_001)
"""Hz. Below, no word can be understood, and no converter is faster. A header that states another
rate is damaged, or was made to have its reader reserve gigabytes."""

MAX_CHANNELS: Final = 64
"""More than any recorder has; a header that claims more is damaged."""

LONGEST_RECORDING_S: Final = 48 * 3_600.0
"""A few kilobytes of packed silence can last for years. What is longer is cut off here."""

_FLAC_MARKER: Final = b"fLaC"
"""RFC 9639, section 8."""

_FLAC_MAX_SAMPLES: Final = 2**36
"""The header's field for the length has 36 bits (RFC 9639, section 8.2); 0 means unknown."""


def to_int16(audio: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return samples between -1 and 1 as int16; larger ones are clipped."""
    scaled: NDArray[np.float32] = np.rint(audio * np.float32(FULL_SCALE))
    return scaled.clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def encode(samples: NDArray[np.int16], codec: "Codec" = "flac") -> bytes:
    """Encode mono int16 samples at 16 kHz; raises BadAudio for other arrays and for empty ones."""
    if samples.dtype != np.int16 or samples.ndim != 1 or not len(samples):
        raise BadAudio(
            f"only mono int16 audio of at least one sample can be encoded, not {samples.dtype} of "
            f"shape {samples.shape}"
        )
    if codec == "pcm_s16le":
        return samples.astype("<i2").tobytes()
    if codec != "flac":
        raise _unknown(codec)
    target = io.BytesIO()
    soundfile.write(target, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return target.getvalue()


def check_recording(name: str, rate: int, channels: int) -> None:
    """Raise BadInput unless a recording with this rate (Hz) and number of channels is accepted."""
    if rate not in RECORDING_RATES:
        raise BadInput(
            f"{name} states a rate of {rate} Hz; rates from {RECORDING_RATES.start} to "
            f"{RECORDING_RATES.stop - 1} Hz are accepted, so convert it or record it again"
        )
    if channels not in range(1, MAX_CHANNELS + 1):
        raise BadInput(
            f"{name} states {channels} channels; up to {MAX_CHANNELS} are accepted, so convert it "
            "or record it again"
        )


def decode(
    data: bytes, codec: str, rate: int, samples: int, *, max_samples: int
) -> NDArray[np.int16]:
    """Return the mono int16 samples in `data`, exactly `samples` of them at `rate` Hz.

    It never allocates more than `max_samples`, whatever the bytes claim. Raises BadAudio if what is
    announced is unusable or differs from what the bytes hold.
    """
    if codec not in CODECS:
        raise _unknown(codec)
    if rate != SAMPLE_RATE:
        raise BadAudio(f"the audio is announced at {rate} Hz; resample it to {SAMPLE_RATE} Hz mono")
    if samples <= 0 or not data:
        raise BadAudio("the utterance holds no audio; send at least one sample")
    if samples > max_samples:
        raise BadAudio(
            f"the audio is announced as {samples / rate:.1f} s long; at most "
            f"{max_samples / rate:.1f} s are accepted, so cut it into shorter utterances"
        )
    return _decode_pcm(data, samples) if codec == "pcm_s16le" else _decode_flac(data, rate, samples)


def _decode_pcm(data: bytes, samples: int) -> NDArray[np.int16]:
    if len(data) % 2:
        raise BadAudio(f"pcm_s16le comes in pairs of bytes; {len(data)} bytes are no whole samples")
    if len(data) // 2 != samples:
        raise _wrong_length(samples, f"{len(data) // 2}")
    return np.frombuffer(data, "<i2").astype(np.int16)


def _decode_flac(data: bytes, rate: int, samples: int) -> NDArray[np.int16]:
    if not data.startswith(_FLAC_MARKER):  # libsndfile would try the readers of all its formats
        raise BadAudio("the audio is no readable FLAC (another format); encode it again")
    audio = np.empty(samples, np.int16)  # bounded by the announcement, which was checked
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.channels != 1:
                raise BadAudio(f"the audio has {file.channels} channels; mix it down to one")
            if file.samplerate != rate:
                raise BadAudio(
                    f"the audio is announced at {rate} Hz, but its header says {file.samplerate} Hz"
                )
            if file.frames != samples:
                raise _wrong_length(samples, _header_length(file.frames))
            read = len(file.read(out=audio))
            if read != samples:
                raise _wrong_length(samples, f"only {read}")
    except soundfile.LibsndfileError as error:
        raise BadAudio(
            f"the audio is no readable FLAC ({error.error_string}); encode it again"
        ) from error
    return audio


def _header_length(frames: int) -> str:
    # an encoder that writes to a pipe cannot go back to fill in the length
    is_known = 0 < frames < _FLAC_MAX_SAMPLES
    return str(frames) if is_known else "a length that its FLAC header leaves open"


def _unknown(codec: str) -> BadAudio:
    return BadAudio(f"there is no codec {codec!r}; send {' or '.join(CODECS)}")


def _wrong_length(announced: int, held: str) -> BadAudio:
    return BadAudio(f"{announced} samples are announced, but the audio holds {held}")
