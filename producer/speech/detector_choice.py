"""The detector that the settings ask for."""

from common.errors import BadInput
from common.settings import ListenSettings
from producer.sources.source import frame_samples
from producer.speech.detector import Detector, GatedDetector, WebRtcDetector
from producer.speech.endpointing import endpointing_rules
from producer.speech.energy_gate import EnergyGate


def choose_detector(settings: ListenSettings) -> Detector:
    """Return a new detector for one stream.

    Raises `BadInput` for a mode or frame length that does not exist, and where Silero is wanted
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

    return CascadeDetector(webrtc, silero, samples, endpointing_rules(settings).silence_s)
