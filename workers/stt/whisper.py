"""faster-whisper: loading a model, and turning 16 kHz speech into text with scores."""

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from common.audio import FULL_SCALE, SAMPLE_RATE
from common.errors import BadSetting, NoModel, Transient
from common.settings import SttSettings
from workers.stt.encoding import LastEncoding
from workers.stt.engine import NO_HINTS, Hints, Segment, Transcription
from workers.stt.hotwords import Hotwords
from workers.stt.judgement import judge
from workers.stt.model_folder import DEMO, NOT_INSTALLED, ModelFolder, locate
from workers.stt.spoken_language import Found, SpokenLanguage
from workers.stt.voice import has_voice

PREFERRED: Final = {"cpu": "int8", "cuda": "float16"}
"""The compute type of each device when EARSHOT_STT__COMPUTE_TYPE is `default`."""

LET_CTRANSLATE2_CHOOSE: Final = ("auto", "default")

log = structlog.get_logger(__name__)


class Whisper:
    """A loaded model, for as many threads at once as it was loaded for."""

    def __init__(self, model: Any, name: str, device: str, settings: SttSettings) -> None:
        """Wrap a model; raises BadSetting for a language of the settings that it does not know."""
        self._model = model
        self._settings = settings
        self._language = SpokenLanguage(model.supported_languages, settings, name)
        self._hotwords = Hotwords(None if name == DEMO else self._count_tokens, name)
        if len(model.supported_languages) > 1:
            model.encode = LastEncoding(model.encode)
        self.name = name
        self.device = device

    def transcribe(self, samples: NDArray[np.int16], hints: Hints = NO_HINTS) -> Transcription:
        """Transcribe mono samples at 16 kHz. Blocks for as long as the model takes.

        The language of the hints overrides EARSHOT_STT__LANGUAGE, unless the model does not know
        it. Raises Transient when the GPU fails.
        """
        began = time.perf_counter()
        audio = samples.astype(np.float32) / np.float32(FULL_SCALE)
        try:
            language = self._find_language(audio, hints)
            # One pass at temperature 0, and another only when the text repeats itself: retries for
            # a low probability cost up to five more decodings, and a user is waiting. Our own rule
            # drops noise, so that its scores are known.
            found, _ = self._model.transcribe(
                audio,
                language=language.language,
                hotwords=self._hotwords.fit(hints.hotwords),
                beam_size=self._settings.beam_size,
                condition_on_previous_text=False,
                vad_filter=False,
                # cost a few tokens; without them the bundled model mishears 1.5 times as many words
                without_timestamps=False,
                log_prob_threshold=None,
                no_speech_threshold=None,
            )
            segments = list(found)
        except RuntimeError as error:
            if not self.device.startswith("cuda"):
                raise
            raise explain_gpu_error(error) from error
        audio_ms = round(1000 * len(samples) / SAMPLE_RATE)
        judged = judge(segments, hints, self._settings, audio_ms / 1000, partial(has_voice, audio))
        speech = judged.speech
        scored = speech or segments
        return Transcription(
            text=" ".join(segment.text for segment in speech),
            language=language.language,
            language_probability=_finite(language.probability),
            avg_logprob=_mean(scored, "avg_logprob"),
            no_speech_prob=_mean(scored, "no_speech_prob"),
            audio_ms=audio_ms,
            decode_ms=round(1000 * (time.perf_counter() - began)),
            segments=tuple(_segment(segment, audio_ms) for segment in speech),
            invented=judged.invented,
            phrase=judged.phrase,
            sure_language=language.sure and bool(speech),
        )

    def warm_up(self) -> None:
        """Transcribe a second of quiet noise, so that the first utterance waits for no set-up."""
        quiet = np.random.default_rng(0).normal(0, 30, SAMPLE_RATE)
        self.transcribe(quiet.astype(np.int16))

    def _find_language(self, audio: NDArray[np.float32], hints: Hints) -> Found:
        named = self._language.named(hints.language)
        if named is not None:
            several = len(self._model.supported_languages) > 1
            return Found(named, 1.0, sure=several and bool(hints.language))
        # without the last frame, as faster-whisper cuts them for the text: so both are encoded once
        features = self._model.feature_extractor(audio)[..., :-1]
        _, _, probabilities = self._model.detect_language(features=features)
        voiced_s = hints.voiced_s or len(audio) / SAMPLE_RATE
        return self._language.find(probabilities, voiced_s=voiced_s, remembered=hints.remembered)

    def _count_tokens(self, text: str) -> int:
        return len(self._model.hf_tokenizer.encode(text, add_special_tokens=False).ids)


def load(settings: SttSettings) -> Whisper:
    """Find or fetch the model, load it and warm it up. Blocks; fetching may take minutes.

    Raises NoModel with the way out, BadSetting for a language that the model does not know.
    """
    try:
        import faster_whisper  # noqa: F401  # a clear message, should it be missing
    except ImportError:
        raise NoModel(NOT_INSTALLED) from None
    device = settings.device
    if device != "cpu":
        gpus = _gpus()
        if device == "cuda" and not gpus:
            raise NoModel(
                "EARSHOT_STT__DEVICE is cuda, and CTranslate2 finds no usable NVIDIA GPU here:"
                " check `nvidia-smi` and the driver, or set EARSHOT_STT__DEVICE=cpu"
            )
        device = "cuda" if gpus else "cpu"
    folder = locate(settings.model, settings.models_dir)
    try:
        return _open(folder, device, settings)
    except NoModel as error:
        chosen_here = settings.device == "auto" and device == "cuda"
        # a person must decide about too small a GPU: on the CPU the model may be far too slow
        if not chosen_here or error.__cause__ is None or _is_out_of_memory(error.__cause__):
            raise
        log.warning("gpu_not_usable", why=str(error), instead="cpu")
    return _open(folder, "cpu", settings)


def _gpus() -> int:
    import ctranslate2

    try:
        return int(ctranslate2.get_cuda_device_count())
    except RuntimeError as error:  # the driver is there and does not work
        log.warning("gpu_not_usable", why=str(error))
        return 0


def _open(folder: ModelFolder, device: str, settings: SttSettings) -> Whisper:
    import ctranslate2
    import faster_whisper

    try:
        compute_type = _compute_type(
            settings.compute_type, device, ctranslate2.get_supported_compute_types(device)
        )
        model = faster_whisper.WhisperModel(
            str(folder.path),
            device=device,
            compute_type=compute_type,
            cpu_threads=settings.cpu_threads,
            num_workers=settings.concurrency,
        )
        whisper = Whisper(model, folder.name, f"{device} {model.model.compute_type}", settings)
        whisper.warm_up()  # missing CUDA libraries show only now
    except (BadSetting, NoModel):
        raise
    except Transient as error:
        cause = error.__cause__ or error
        raise NoModel(_why_not(cause, folder, device)) from cause
    except Exception as error:
        raise NoModel(_why_not(error, folder, device)) from error
    return whisper


def _compute_type(wanted: str, device: str, supported: set[str]) -> str:
    if wanted == "default":
        return PREFERRED[device] if PREFERRED[device] in supported else "auto"
    if wanted not in supported and wanted not in LET_CTRANSLATE2_CHOOSE:
        raise NoModel(
            f"EARSHOT_STT__COMPUTE_TYPE is {wanted!r}, which {device} does not offer here: it takes"
            f" {', '.join(sorted({*supported, *LET_CTRANSLATE2_CHOOSE}))}"
        )
    return wanted


def _is_out_of_memory(error: BaseException) -> bool:
    return "out of memory" in str(error) or "ALLOC_FAILED" in str(error)


def explain_gpu_error(error: RuntimeError) -> Transient:
    """Return what an error of CTranslate2 on a GPU means for the utterance in hand."""
    if _is_out_of_memory(error):
        return Transient(
            f"the GPU has not enough free memory for this utterance ({error}): something else"
            " uses it, or EARSHOT_STT__CONCURRENCY or EARSHOT_STT__BEAM_SIZE is too high",
            opens_breaker=False,
        )
    # a failed CUDA context stays failed: the breaker opens, and another worker may do better
    return Transient(
        f"the GPU fails ({error}): restart this worker if it goes on", opens_breaker=False
    )


def _why_not(error: BaseException, folder: ModelFolder, device: str) -> str:
    said = str(error).strip().rstrip(".") or type(error).__name__
    if _is_out_of_memory(error):
        return (
            f"the model {folder.name} does not fit into the GPU's free memory: free some, take a"
            " smaller model, EARSHOT_STT__COMPUTE_TYPE=int8_float16 or EARSHOT_STT__DEVICE=cpu"
        )
    if device == "cuda":
        return (
            f"the model {folder.name} does not run on this GPU ({said}): install the CUDA 12"
            " libraries that CTranslate2 needs (cuBLAS), or set EARSHOT_STT__DEVICE=cpu"
        )
    return (
        f"the model {folder.name} in {folder.path} cannot be loaded ({said}): fetch or convert it"
        " anew, or use EARSHOT_STT__MODEL=demo to try earshot out"
    )


def _segment(segment: Any, audio_ms: int) -> Segment:
    # the model works in windows of 30 s: its times may lie behind the end of the audio
    start_ms, end_ms = (min(round(1000 * time), audio_ms) for time in (segment.start, segment.end))
    return Segment(start_ms, max(start_ms, end_ms), segment.text)


def _mean(segments: Sequence[Any], score: str) -> float | None:
    weights = [segment.end - segment.start for segment in segments]
    if not sum(weights) > 0:
        return None
    weighed = zip(segments, weights, strict=True)
    return _finite(sum(getattr(segment, score) * w for segment, w in weighed) / sum(weights))


def _finite(value: float) -> float | None:
    # an event is JSON, which has no NaN and no infinity
    return round(float(value), 4) if math.isfinite(value) else None
