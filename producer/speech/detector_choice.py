"""The detector that the settings ask for, and what has to be known about it."""

from typing import Final

from common.errors import BadInput
from common.settings import ListenSettings
from producer.sources.source import frame_samples
from producer.speech.detector import Detector, GatedDetector, WebRtcDetector
from producer.speech.endpointing import rules_of
from producer.speech.energy_gate import EnergyGate

LAG_S: Final = {"webrtc": 0.0, "silero": 0.12, "cascade": 0.12}
"""How much later than WebRTC's each detector hears that speech began, seconds: nineteen in twenty
of the sentences of `earshot bench hearing` (docs/hearing.md)."""


def with_lag(settings: ListenSettings) -> ListenSettings:
    """The settings with the pre-roll lengthened by the detector's lag, so that `pre_roll_s` means
    the same before the speech whichever detector hears it."""
    return settings.model_copy(update={"pre_roll_s": settings.pre_roll_s + LAG_S[settings.vad]})


def detector_for(settings: ListenSettings) -> Detector:
    """A new detector for one stream.

    Raises `BadInput` for a mode or frame length that does not exist, and where Silero is asked for
    and not installed.
    """
    samples = frame_samples(settings.frame_ms)
    webrtc = WebRtcDetector(settings.vad_mode, settings.frame_ms)
    if settings.vad == "webrtc":
        return GatedDetector(webrtc, EnergyGate(samples))
    try:
        from producer.speech.silero import SileroDetector
    except ImportError as error:
        raise BadInput(
            f"--vad {settings.vad} needs Silero's detector ({error}); pip install 'earshot[cut]', "
            "or choose --vad webrtc"
        ) from None
    silero = SileroDetector(settings.frame_ms)
    if settings.vad == "silero":
        return silero
    from producer.speech.cascade import CascadeDetector

    return CascadeDetector(webrtc, silero, samples, rules_of(settings).silence_s)
