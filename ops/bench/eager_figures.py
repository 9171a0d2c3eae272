"""What a run of `earshot bench eager` adds up to."""

import statistics
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Mode = Literal["on", "off"]
MODES: Final[tuple[Mode, Mode]] = ("on", "off")


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of a clip; times in ms since the end of speech, by Redis's clock."""

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
    """How long STT ran for it by the clock, drafts that were discarded included."""


@dataclass(slots=True)
class Measured:
    """All turns of a run, and what they add up to."""

    model: str
    silence_ms: float
    eager_pause_s: float
    turns: list[Turn] = field(default_factory=list)

    def beyond_ms(self, mode: Mode) -> float:
        """Median time from the end of the silence to the transcript."""
        return statistics.median(
            turn.shown_ms - self.silence_ms for turn in self.turns if turn.mode == mode
        )

    @property
    def ratio(self) -> float:
        """What is left of the wait beyond the silence, with eager on, of what it is with it off."""
        return self.beyond_ms("on") / self.beyond_ms("off")

    @property
    def early(self) -> list[bool]:
        """Of each turn with eager on: was STT done before the turn was over?"""
        return [turn.transcribed_ms < turn.shown_ms for turn in self.turns if turn.mode == "on"]

    @property
    def done_share(self) -> float:
        """Median share of the silence in which STT was done already."""
        return statistics.median(
            max(0.0, turn.shown_ms - turn.transcribed_ms) / turn.shown_ms
            for turn in self.turns
            if turn.mode == "on"
        )

    def stt(self, mode: Mode, *, pauses: bool) -> tuple[float, float]:
        """Runs (mean) and seconds (median) of STT per turn."""
        of = [t for t in self.turns if t.mode == mode and bool(t.pauses) == pauses]
        return (
            statistics.fmean(turn.runs for turn in of),
            statistics.median(turn.stt_s for turn in of),
        )

    def as_dict(self) -> dict[str, Any]:
        """The figures as the command prints them."""
        texts = {mode: [turn.text for turn in self.turns if turn.mode == mode] for mode in MODES}
        same = [on == off for on, off in zip(texts["on"], texts["off"], strict=True)]
        return {
            "model": self.model,
            "turns": len(self.early),
            "silence_ms": self.silence_ms,
            "eager_pause_s": self.eager_pause_s,
            "beyond_silence_ms": {mode: round(self.beyond_ms(mode), 1) for mode in MODES},
            "ratio": round(self.ratio, 3),
            "stt_done_before_the_end": round(statistics.fmean(self.early), 3),
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
        runs_on, s_on = self.stt("on", pauses=pauses)
        runs_off, s_off = self.stt("off", pauses=pauses)
        return {
            "runs": round(runs_on - runs_off, 2),
            "ms": round(1000 * (s_on - s_off), 1),
            "share": round(s_on / s_off - 1, 3),
        }
