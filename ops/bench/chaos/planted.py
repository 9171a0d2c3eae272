"""The planted utterances: what makes each of them fail, and the error in which it must end."""

from dataclasses import dataclass
from typing import Any, Final

from common.events import ErrorData
from ops.bench.chaos.plan import Kind

DEADLY_WORD: Final = "arsenic"
"""The LLM worker of a chaos run dies of a question with this word."""

MODEL_FAILS: Final = "The model fails at this question."
FILTER_FORBIDS: Final = "The filter forbids this question."
NO_MEMORY: Final = "CUDA failed with error out of memory"
"""What CTranslate2 says where a GPU has no memory left."""

WORDS: Final = {
    Kind.LLM_POISON: DEADLY_WORD,
    Kind.REFUSED_500: "hemlock",
    Kind.REFUSED_403: "oleander",
    Kind.BROKEN_STREAM: "foxglove",
    Kind.UNKNOWN_FINISH: "nightshade",
}
"""The word by which the worker, or the stand-in LLM, knows a question of this kind."""

LLM_FAULTS: Final[dict[Kind, dict[str, Any]]] = {
    Kind.REFUSED_500: {"fail": {"status": 500, "message": MODEL_FAILS}},
    Kind.REFUSED_403: {"fail": {"status": 403, "message": FILTER_FORBIDS}},
    Kind.BROKEN_STREAM: {"drop_after_tokens": 2},
    Kind.UNKNOWN_FINISH: {"finish_reason": "who_knows"},
}
"""What the stand-in LLM does with a question of this kind, always."""


@dataclass(frozen=True, slots=True)
class PlantedError:
    """The error in which an utterance must end: `sentence` is a part of what people read."""

    stage: str
    reason: str
    sentence: str

    def matches(self, error: ErrorData) -> bool:
        """Return whether a turn ended in this error."""
        place = (error.stage, error.reason)
        return place == (self.stage, self.reason) and self.sentence in error.error


ERRORS: Final = {
    Kind.STT_POISON: PlantedError("stt", "max_deliveries", "never settled"),
    Kind.LLM_POISON: PlantedError("llm", "max_deliveries", "never settled"),
    Kind.BROKEN: PlantedError("stt", "bad_audio", "the audio is no readable FLAC"),
    Kind.REFUSED_500: PlantedError("llm", "failed", f"fails with 500 ({MODEL_FAILS})"),
    Kind.REFUSED_403: PlantedError("llm", "failed", f"forbids the request ({FILTER_FORBIDS})"),
    Kind.BROKEN_STREAM: PlantedError("llm", "failed", "closed the connection"),
    Kind.UNKNOWN_FINISH: PlantedError("llm", "failed", "ended the reply with 'who_knows'"),
    Kind.STT_FAILURE: PlantedError("stt", "failed", NO_MEMORY),
}
"""The error of each kind that can only end in one."""


def stand_in_knobs() -> dict[str, dict[str, Any]]:
    """Return the stand-in's knob `only_for`: its faults by the word in the question."""
    return {WORDS[kind]: fault for kind, fault in LLM_FAULTS.items()}
