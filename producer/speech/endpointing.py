"""Endpointing: when an utterance begins, when it ends, and what is too short to be one.

All durations are seconds of sample time. The three presets differ in `silence_s` and `min_speech_s`
only. Each value can be overridden on its own.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from common.errors import BadInput
from common.settings import ListenSettings


def _refuse_unless(good: bool, sentence: str) -> None:
    if not good:
        raise BadInput(sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpointing:
    """The rules by which the segmenter cuts. Units: seconds.

    Raises `BadInput` with one sentence when the values make no sense alone or together.
    """

    silence_s: float = 1.0
    """Non-speech that ends an utterance."""
    min_speech_s: float = 0.5
    """Voiced time below which a segment is skipped as noise."""
    pre_roll_s: float = 0.3
    """Audio kept before the first voiced frame: weak onsets (f, s, h, p) come before it."""
    tail_s: float = 0.3
    """Silence kept after the last speech, at most `silence_s`: final consonants fade out in it."""
    max_utterance_s: float = 30.0
    """Longest utterance, pre-roll and tail included: Whisper hears in windows of 30 s."""
    cut_window_s: float = 3.0
    """A too long utterance is cut at the quietest place of this last part."""
    start_speech_s: float = 0.09
    """Voiced time within `start_window_s` that counts as speech, and not as a click."""
    start_window_s: float = 0.15
    """The window of the rule above. It holds inside an utterance as well: one click there does not
    delay the end."""
    eager_pause_s: float | None = None
    """Silence in an open utterance after which the audio so far becomes a draft. None: never."""
    eager_max: int = 3
    """How often that happens within one utterance."""
    eager_growth: float = 1.6
    """Each of these pauses is this many times as long as the one before, because a speaker who has
    paused and gone on will do so again."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "eager_pause_s":
                continue
            unit, measure = (" s", " of seconds") if field.name.endswith("_s") else ("", "")
            _refuse_unless(math.isfinite(value), f"{field.name} must be a number{measure}")
            positive = field.name not in ("min_speech_s", "pre_roll_s", "tail_s")
            _refuse_unless(
                value > 0 if positive else value >= 0,
                f"{field.name} is {value:g}{unit};"
                f" it must be {'above 0' if positive else '0 or more'}",
            )
        _refuse_unless(
            self.start_speech_s <= self.start_window_s,
            f"start_speech_s ({self.start_speech_s:g} s) does not fit into start_window_s "
            f"({self.start_window_s:g} s); raise the window or lower the speech",
        )
        _refuse_unless(
            self.silence_s >= self.start_window_s,
            f"silence_s ({self.silence_s:g} s) is shorter than start_window_s "
            f"({self.start_window_s:g} s); an utterance would end too early",
        )
        _refuse_unless(
            self.eager_pause_s is None or self.eager_pause_s < self.silence_s,
            f"eager_pause_s ({self.eager_pause_s} s) must be shorter than silence_s "
            f"({self.silence_s:g} s), or the utterance is over first",
        )
        least = 2 * max(self.pre_roll_s + self.start_window_s, self.min_speech_s)
        _refuse_unless(
            self.max_utterance_s >= least,
            f"max_utterance_s ({self.max_utterance_s:g} s) is too short for its pre-roll and "
            f"minimum speech; give it at least {least:g} s",
        )


PRESETS: Final[dict[str, Endpointing]] = {
    "command": Endpointing(silence_s=0.6, min_speech_s=0.3),
    "conversation": Endpointing(silence_s=1.0, min_speech_s=0.5),
    "dictation": Endpointing(silence_s=2.0, min_speech_s=1.0),
}


def endpointing(preset: str, **overrides: float | None) -> Endpointing:
    """Return the preset with single values replaced; None keeps the preset's value.

    Raises `BadInput` for an unknown preset or field, and for values that `Endpointing` refuses.
    """
    if preset not in PRESETS:
        raise BadInput(f"there is no preset {preset!r}; choose one of {', '.join(PRESETS)}")
    known = {field.name for field in fields(Endpointing)}
    if unknown := sorted(set(overrides) - known):
        raise BadInput(f"{unknown[0]!r} is no endpointing value; there are {sorted(known)}")
    given: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
    return replace(PRESETS[preset], **given)


DETECTOR_LAG_S: Final = {"webrtc": 0.0, "silero": 0.12, "cascade": 0.12}
"""How much later than WebRTC's each detector hears that speech began, seconds: nineteen in twenty
of the sentences of `earshot bench hearing` (docs/hearing.md)."""


def endpointing_rules(settings: ListenSettings) -> Endpointing:
    """Return the rules that the settings ask for: the preset, and what overrides it.

    The pre-roll is longer by the detector's lag, so that `pre_roll_s` means the same before the
    speech whichever detector hears it. Raises `BadInput` for values that `Endpointing` refuses.
    """
    rules = endpointing(
        settings.preset,
        silence_s=settings.silence_s,
        min_speech_s=settings.min_speech_s,
        pre_roll_s=settings.pre_roll_s + DETECTOR_LAG_S[settings.vad],
        tail_s=settings.tail_s,
        max_utterance_s=settings.max_utterance_s,
    )
    if settings.push_to_talk and settings.min_speech_s is None:
        # somebody who presses a key wants to be heard, even with a single word
        least = min(rules.min_speech_s, PRESETS["command"].min_speech_s)
        rules = replace(rules, min_speech_s=least)
    return rules
