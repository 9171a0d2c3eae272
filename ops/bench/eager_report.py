"""The figures of a run of `earshot bench eager`."""

import statistics
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Mode = Literal["on", "off"]
MODES: Final[tuple[Mode, Mode]] = ("on", "off")


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of one clip. Times are in ms since the end of speech, by Redis's clock."""

    mode: Mode
    pauses: int
    text: str
    started_ms: float
    transcribed_ms: float
    shown_ms: float
    """When the transcript appeared in the results."""
    runs: int
    """How often STT ran for it."""
    stt_s: float
    """How long STT ran for it, discarded drafts included."""


@dataclass(slots=True)
class EagerReport:
    """All turns of a run, and their figures."""

    model: str
    silence_ms: float
    eager_pause_s: float
    turns: list[Turn] = field(default_factory=list)

    def beyond_ms(self, mode: Mode) -> float:
        """Return the median time from the end of the silence to the transcript."""
        return statistics.median(
            turn.shown_ms - self.silence_ms for turn in self.turns if turn.mode == mode
        )

    @property
    def ratio(self) -> float:
        """The wait after the silence with eager transcription, as a part of the wait without it."""
        return self.beyond_ms("on") / self.beyond_ms("off")

    @property
    def stt_was_early(self) -> list[bool]:
        """For each turn with eager transcription: whether STT was done before the turn ended."""
        return [turn.transcribed_ms < turn.shown_ms for turn in self.turns if turn.mode == "on"]

    @property
    def done_share(self) -> float:
        """The median part of the silence in which STT was done already."""
        return statistics.median(
            max(0.0, turn.shown_ms - turn.transcribed_ms) / turn.shown_ms
            for turn in self.turns
            if turn.mode == "on"
        )

    def stt_per_turn(self, mode: Mode, *, pauses: bool) -> tuple[float, float]:
        """Return how often STT ran per turn (mean), and for how many seconds (median)."""
        turns = [t for t in self.turns if t.mode == mode and bool(t.pauses) == pauses]
        return (
            statistics.fmean(turn.runs for turn in turns),
            statistics.median(turn.stt_s for turn in turns),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as the command prints them."""
        texts = {mode: [turn.text for turn in self.turns if turn.mode == mode] for mode in MODES}
        same = [on == off for on, off in zip(texts["on"], texts["off"], strict=True)]
        return {
            "model": self.model,
            "turns": len(self.stt_was_early),
            "silence_ms": self.silence_ms,
            "eager_pause_s": self.eager_pause_s,
            "beyond_silence_ms": {mode: round(self.beyond_ms(mode), 1) for mode in MODES},
            "ratio": round(self.ratio, 3),
            "stt_done_before_the_end": round(statistics.fmean(self.stt_was_early), 3),
            "stt_done_share_of_silence": round(self.done_share, 3),
            "extra_stt_per_turn": {
                "without_pauses": self._extra(pauses=False),
                "with_a_pause": self._extra(pauses=True),
            },
            "same_text": round(statistics.fmean(same), 3),
        }

    def _extra(self, *, pauses: bool) -> dict[str, float] | None:
        if not any(bool(turn.pauses) == pauses for turn in self.turns):
            return None
        runs_on, s_on = self.stt_per_turn("on", pauses=pauses)
        runs_off, s_off = self.stt_per_turn("off", pauses=pauses)
        return {
            "runs": round(runs_on - runs_off, 2),
            "ms": round(1000 * (s_on - s_off), 1),
            "share": round(s_on / s_off - 1, 3),
        }
