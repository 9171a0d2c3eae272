"""What is asked of faster-whisper, what is made of its answer, and which device it runs on.

faster-whisper itself is replaced here, because most of these cases need a GPU that misbehaves;
`tests/integration/workers/stt/test_whisper.py` runs the real one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import ctranslate2
import faster_whisper
import numpy as np
import pytest

from common.errors import BadSetting, NoModel, Transient
from common.settings import SttSettings
from workers.stt.engine import Hints, Segment
from workers.stt.whisper import Whisper, load

SECOND = np.zeros(16_000, np.int16)


def segment(text: str, start: float, end: float, no_speech: float, logprob: float) -> Any:
    return SimpleNamespace(
        text=text, start=start, end=end, no_speech_prob=no_speech, avg_logprob=logprob
    )


@dataclass
class FakeModel:
    """Stands where faster_whisper.WhisperModel does."""

    segments: Sequence[Any] = ()
    supported_languages: Sequence[str] = ("en",)
    error: Exception | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    audio: list[Any] = field(default_factory=list)
    model: Any = field(default_factory=lambda: SimpleNamespace(compute_type="float16"))
    found: Sequence[tuple[str, float]] = (("de", 0.9), ("en", 0.1))

    def encode(self, features: Any) -> Any:
        return features

    def feature_extractor(self, audio: Any) -> Any:
        return audio

    def detect_language(self, *, features: Any) -> tuple[str, float, Any]:
        return *self.found[0], self.found

    def transcribe(self, audio: Any, **options: Any) -> tuple[Any, Any]:
        self.audio.append(audio)
        self.asked.append(options)
        if self.error is not None:
            raise self.error
        return iter(self.segments), SimpleNamespace()


def whisper(model: FakeModel, device: str = "cpu int8", **settings: Any) -> Whisper:
    return Whisper(model, "fake", device, SttSettings(**settings))


def test_segments_become_one_line_and_scores_weigh_as_long_as_they_last() -> None:
    model = FakeModel(
        [segment(" Hello,\n ", 0, 1, 0.2, -0.2), segment("  world. ", 1, 4, 0.4, -0.4)]
    )
    heard = whisper(model).transcribe(SECOND)
    assert heard.text == "Hello, world."
    assert heard.no_speech_prob == pytest.approx(0.35)
    assert heard.avg_logprob == pytest.approx(-0.35)
    assert heard.audio_ms == 1000


def test_each_segment_has_its_time_within_the_audio() -> None:
    model = FakeModel(
        [segment(" Hello,\n ", 0, 0.4, 0.2, -0.2), segment(" world. ", 0.4, 30, 0.4, -0.4)]
    )
    heard = whisper(model).transcribe(SECOND)
    assert heard.segments == (Segment(0, 400, "Hello,"), Segment(400, 1000, "world."))


def test_noise_inside_an_utterance_is_dropped_and_does_not_count() -> None:
    model = FakeModel([segment(" Hello.", 0, 1, 0.1, -0.2), segment(" Thanks.", 1, 9, 0.9, -2)])
    heard = whisper(model).transcribe(SECOND)
    assert (heard.text, heard.no_speech_prob, heard.avg_logprob) == ("Hello.", 0.1, -0.2)


def test_mere_noise_has_no_text_but_keeps_its_scores() -> None:
    heard = whisper(FakeModel([segment(" Thanks.", 0, 2, 0.9, -2)])).transcribe(SECOND)
    assert (heard.text, heard.no_speech_prob, heard.avg_logprob) == ("", 0.9, -2)


def test_no_segment_at_all_has_no_scores() -> None:
    heard = whisper(FakeModel()).transcribe(SECOND)
    assert (heard.text, heard.no_speech_prob, heard.avg_logprob) == ("", None, None)


def test_scores_that_json_cannot_carry_are_left_out() -> None:
    model = FakeModel([segment(" Hi.", 0, 1, 0.1, float("-inf"))])
    assert whisper(model).transcribe(SECOND).avg_logprob is None


def test_samples_are_scaled_to_one() -> None:
    model = FakeModel()
    whisper(model).transcribe(np.array([-32768, 0, 16384], np.int16))
    assert model.audio[0].dtype == np.float32
    assert model.audio[0].tolist() == [-1.0, 0.0, 0.5]


def test_timestamps_are_asked_for() -> None:
    model = FakeModel()
    whisper(model).transcribe(SECOND)
    assert model.asked[0]["without_timestamps"] is False


@pytest.mark.parametrize(
    ("known", "setting", "hint", "asked"),
    [
        (("en",), "", "de", "en"),
        (("en", "de"), "", "", "de"),
        (("en", "de"), "de", "", "de"),
        (("en", "de"), "de", "en-GB", "en"),
        (("en", "de"), "", "DE", "de"),
        (("en", "de"), "de", "tlh", "de"),
        (("en", "de"), "", "tlh", "de"),
    ],
)
def test_the_hint_goes_before_the_setting_unless_the_model_does_not_know_it(
    known: Sequence[str], setting: str, hint: str, asked: str
) -> None:
    model = FakeModel(supported_languages=known)
    whisper(model, language=setting).transcribe(SECOND, Hints(hint))
    assert model.asked[0]["language"] == asked


def test_a_full_gpu_is_waited_out_without_stopping_the_worker() -> None:
    model = FakeModel(error=RuntimeError("CUDA failed with error out of memory"))
    with pytest.raises(Transient, match="not enough free memory") as caught:
        whisper(model, "cuda float16").transcribe(SECOND)
    assert not caught.value.opens_breaker


def test_a_gpu_that_fails_may_have_been_made_to_by_the_utterance() -> None:
    model = FakeModel(error=RuntimeError("CUDA failed with error unspecified launch failure"))
    with pytest.raises(Transient, match="launch failure") as caught:
        whisper(model, "cuda float16").transcribe(SECOND)
    assert not caught.value.opens_breaker


def test_a_failure_on_the_cpu_is_a_bug_and_passes_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="boom"):
        whisper(FakeModel(error=RuntimeError("boom"))).transcribe(SECOND)


# -- which device


Machine = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Sets up a machine with `gpus`, on which models behave as told; returns what was built."""

    def set_up(
        *,
        gpus: int | Exception = 0,
        cuda_error: Exception | None = None,
        cuda_types: frozenset[str] = frozenset({"float16", "float32", "int8"}),
        languages: Sequence[str] = ("en",),
    ) -> list[dict[str, Any]]:
        built: list[dict[str, Any]] = []

        def build(folder: str, **options: Any) -> FakeModel:
            built.append(options)
            on_gpu = options["device"] == "cuda"
            return FakeModel(
                error=cuda_error if on_gpu else None,
                supported_languages=languages,
                model=SimpleNamespace(compute_type=options["compute_type"]),
            )

        def count() -> int:
            if isinstance(gpus, Exception):
                raise gpus
            return gpus

        types = {"cuda": set(cuda_types), "cpu": {"int8", "float32"}}
        monkeypatch.setattr(faster_whisper, "WhisperModel", build)
        monkeypatch.setattr(ctranslate2, "get_cuda_device_count", count)
        monkeypatch.setattr(ctranslate2, "get_supported_compute_types", types.__getitem__)
        return built

    return set_up


@pytest.mark.parametrize(
    ("gpus", "device", "used"),
    [(0, "auto", "cpu int8"), (1, "auto", "cuda float16"), (1, "cpu", "cpu int8")],
)
def test_auto_takes_the_gpu_where_one_is(
    machine: Machine, gpus: int, device: Any, used: str
) -> None:
    machine(gpus=gpus)
    assert load(SttSettings(model="demo", device=device)).device == used


def test_threads_and_concurrency_reach_the_model(machine: Machine) -> None:
    built = machine()
    load(SttSettings(model="demo", cpu_threads=3, concurrency=2))
    assert (built[0]["cpu_threads"], built[0]["num_workers"]) == (3, 2)


def test_a_gpu_too_old_for_float16_takes_what_ctranslate2_thinks_best(machine: Machine) -> None:
    machine(gpus=1, cuda_types=frozenset({"float32", "int8"}))
    assert load(SttSettings(model="demo")).device == "cuda auto"


def test_auto_goes_on_with_the_cpu_when_cuda_libraries_are_missing(machine: Machine) -> None:
    built = machine(gpus=1, cuda_error=RuntimeError("Library libcublas.so.12 is not found"))
    assert load(SttSettings(model="demo")).device == "cpu int8"
    assert [options["device"] for options in built] == ["cuda", "cpu"]


def test_cuda_that_was_asked_for_is_not_silently_replaced(machine: Machine) -> None:
    machine(gpus=1, cuda_error=RuntimeError("Library libcublas.so.12 is not found"))
    with pytest.raises(NoModel, match=r"libcublas\.so\.12 .*EARSHOT_STT__DEVICE=cpu"):
        load(SttSettings(model="demo", device="cuda"))


def test_a_model_too_big_for_the_gpu_is_for_a_person_to_decide(machine: Machine) -> None:
    machine(gpus=1, cuda_error=RuntimeError("CUDA failed with error out of memory"))
    with pytest.raises(NoModel, match=r"does not fit .*int8_float16"):
        load(SttSettings(model="demo"))


@pytest.mark.parametrize("gpus", [0, RuntimeError("CUDA failed with error unknown error")])
def test_cuda_without_a_usable_gpu_says_what_to_check(
    machine: Machine, gpus: int | Exception
) -> None:
    machine(gpus=gpus)
    with pytest.raises(NoModel, match="nvidia-smi"):
        load(SttSettings(model="demo", device="cuda"))


def test_a_compute_type_that_the_device_lacks_lists_those_it_has(machine: Machine) -> None:
    machine()
    with pytest.raises(NoModel, match=r"'float16'.* cpu .*auto, default, float32, int8"):
        load(SttSettings(model="demo", compute_type="float16"))


def test_a_compute_type_that_the_gpu_lacks_does_not_send_the_work_to_the_cpu(
    machine: Machine,
) -> None:
    machine(gpus=1, cuda_types=frozenset({"float16"}))
    with pytest.raises(NoModel, match=r"'int8', which cuda does not offer"):
        load(SttSettings(model="demo", compute_type="int8"))


def test_a_language_that_the_model_does_not_know_is_refused_at_the_start(
    machine: Machine,
) -> None:
    machine()
    with pytest.raises(BadSetting, match=r"'de'.*demo does not know.*en"):
        load(SttSettings(model="demo", language="de"))
