"""Speech to text with faster-whisper."""

from typing import Annotated, Literal

from pydantic import Field

from common.settings.sections.fields import Count, Finite, HostPath, Section


class SttSettings(Section):
    """Speech to text with faster-whisper."""

    model: Annotated[HostPath, Field(min_length=1)] = Field(
        "small.en",
        description="A model name that faster-whisper fetches on first use, a folder, or `demo`"
        " (the small bundled model: it knows the demo's sentences only). small.en is the largest"
        " that keeps up with one speaker on two CPU cores.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA where it is.")
    compute_type: str = Field(
        "default", description="CTranslate2's: int8 on a CPU and float16 on CUDA by default."
    )
    language: str = Field("", description="Language code; empty: the model finds out.")
    beam_size: Count = Field(5, description="faster-whisper's own default; 1 is faster.")
    cpu_threads: Annotated[int, Field(ge=0, le=1_024)] = Field(
        0, description="0: CTranslate2 decides."
    )
    models_dir: HostPath = Field(
        "", description="Where fetched models are kept; empty: the HF cache."
    )
    no_speech_threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        0.6, description="Whisper's: above it, and with a low average log probability, it is noise."
    )
    log_prob_threshold: Finite = Field(-1.0, description="Whisper's: the other half of that rule.")
    recordings: bool = Field(
        True,
        description="Whether this worker takes long recordings as well, when no live speech waits;"
        " false keeps it for live speech, which then never waits for a recording's utterance.",
    )
    concurrency: Count = Field(
        1, description="Utterances at once per process: more processes scale better than this."
    )
