"""Speech to text with faster-whisper."""

from typing import Annotated, Literal

from pydantic import Field

from common.languages.codes import Language, Languages
from common.settings.sections.fields import Count, Finite, HostPath, Section
from common.utterance import NAME


class SttSettings(Section):
    """Speech to text with faster-whisper."""

    model: Annotated[HostPath, Field(min_length=1)] = Field(
        "small.en",
        description="Name of a model that faster-whisper downloads on first use, a folder with a"
        " model, or `demo` (the small bundled model; it knows the demo's sentences"
        " only). small.en is the largest model that keeps up with one speaker on two"
        " CPU cores.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Where the model runs. auto: CUDA if there is a GPU, else the CPU.",
    )
    compute_type: str = Field(
        "default",
        description="Compute type of CTranslate2. default: int8 on a CPU, float16 on CUDA.",
    )
    language: Language = Field(
        "",
        description="The language that is spoken where the producer names none, as a code or a"
        " name: en, pt-BR, de_DE, German. Empty: the model finds out.",
    )
    languages: Languages = Field(
        "",
        description="The languages among which the model finds out, separated by commas, such as"
        " de,en. Empty: all that it knows. A short utterance, in which a model often errs, then"
        " rarely becomes one of another language.",
    )
    hotwords: Annotated[str, Field(max_length=10_000, pattern=NAME)] = Field(
        "",
        description="Names and rare words that may be said, separated by commas. Whisper then hears"
        " them rather than words that sound alike. About 100 words have room (223 of Whisper's"
        " tokens). Personas and sessions may have further ones.",
    )
    beam_size: Count = Field(
        5,
        description="Beam size. The default is that of faster-whisper; 1 is faster.",
    )
    cpu_threads: Annotated[int, Field(ge=0, le=1_024)] = Field(
        0,
        description="CPU threads. 0: CTranslate2 decides.",
    )
    models_dir: HostPath = Field(
        "",
        description="Folder for downloaded models. Empty: the cache of Hugging Face.",
    )
    no_speech_threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        0.6,
        description="A transcript counts as noise if its no-speech probability is above this value"
        " and its average log probability is below log_prob_threshold. The default is"
        " Whisper's.",
    )
    log_prob_threshold: Finite = Field(
        -1.0,
        description="See no_speech_threshold. The default is Whisper's.",
    )
    recordings: bool = Field(
        True,
        description="Whether this worker also transcribes long recordings when no live speech"
        " waits. false reserves it for live speech, which then never waits for an"
        " utterance of a recording.",
    )
    concurrency: Count = Field(
        1,
        description="Utterances that one process transcribes at once. To do more, start more"
        " processes: that scales better.",
    )
