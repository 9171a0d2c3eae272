"""Encoding and decoding the audio of an utterance.

Inside earshot audio is 16 kHz mono int16. `flac` halves its size without loss; `pcm_s16le` is for
clients that cannot encode. Decoding trusts neither the bytes nor what is announced about them.

What is accepted: an utterance from a client is 16 kHz mono, in one of two codecs, and as long as
announced (`check_audio`). A recording may have every rate of RECORDING_RATES and up to MAX_CHANNELS
channels (`check_recording`).
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

FLAC_HEAD_BYTES: Final = 42
"""The marker, then the block STREAMINFO: 4 bytes of header and 34 of content."""

_FLAC_BITS: Final = (8, 16, 24)
"""Bits per sample that libsndfile can read."""

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


def check_audio(data: bytes, codec: str, rate: int, samples: int, *, max_samples: int) -> None:
    """Raise BadAudio unless this is audio that an utterance may hold. The one rule for that.

    `publish` and `replay` refuse by it what could never be decoded, and `decode` begins with it.
    It compares the announcement (`codec`, `rate` in Hz, `samples`) with the length of the bytes, or
    with the STREAMINFO at the head of a FLAC file (RFC 9639, section 8.2), and decodes nothing.
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
    if codec == "pcm_s16le":
        _check_pcm(data, samples)
    else:
        _check_flac_head(data, rate, samples)


def _check_pcm(data: bytes, samples: int) -> None:
    if len(data) % 2:
        raise BadAudio(f"pcm_s16le comes in pairs of bytes; {len(data)} bytes are no whole samples")
    if len(data) // 2 != samples:
        raise _wrong_length(samples, f"{len(data) // 2}")


def _check_flac_head(data: bytes, rate: int, samples: int) -> None:
    # the highest bit of a block's type says that it is the last one
    starts_well = data.startswith(_FLAC_MARKER) and len(data) >= FLAC_HEAD_BYTES
    if not starts_well or data[4] & 0x7F or int.from_bytes(data[5:8], "big") != 34:
        raise BadAudio("the audio is no readable FLAC (another format); encode it again")
    head = int.from_bytes(data[18:26], "big")  # 20 bits of rate, 3 of channels, 5 of bits, length
    header_rate, channels = head >> 44, (head >> 41 & 0b111) + 1
    bits, length = (head >> 36 & 0b11111) + 1, head & (_FLAC_MAX_SAMPLES - 1)
    if channels != 1:
        raise BadAudio(f"the audio has {channels} channels; mix it down to one")
    if header_rate != rate:
        raise BadAudio(f"the audio is announced at {rate} Hz, but its header says {header_rate} Hz")
    if bits not in _FLAC_BITS:
        raise BadAudio(f"the audio has {bits} bits per sample; send 16")
    if length != samples:
        # an encoder that writes to a pipe cannot go back to fill in the length
        held = str(length) if length else "a length that its FLAC header leaves open"
        raise _wrong_length(samples, held)


def decode(
    data: bytes, codec: str, rate: int, samples: int, *, max_samples: int
) -> NDArray[np.int16]:
    """Return the mono int16 samples in `data`, exactly `samples` of them at `rate` Hz.

    It never allocates more than `max_samples`, whatever the bytes claim. Raises BadAudio if what is
    announced is unusable or differs from what the bytes hold.
    """
    check_audio(data, codec, rate, samples, max_samples=max_samples)
    if codec == "pcm_s16le":
        return np.frombuffer(data, "<i2").astype(np.int16)
    return _decode_flac(data, samples)


def _decode_flac(data: bytes, samples: int) -> NDArray[np.int16]:
    audio = np.empty(samples, np.int16)  # bounded by the announcement, which was checked
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            read = len(file.read(out=audio))
    except soundfile.LibsndfileError as error:
        raise BadAudio(
            f"the audio is no readable FLAC ({error.error_string}); encode it again"
        ) from error
    if read != samples:
        raise _wrong_length(samples, f"only {read}")
    return audio


def _unknown(codec: str) -> BadAudio:
    return BadAudio(f"there is no codec {codec!r}; send {' or '.join(CODECS)}")


def _wrong_length(announced: int, held: str) -> BadAudio:
    return BadAudio(f"{announced} samples are announced, but the audio holds {held}")
