"""What the ear makes of a scene, and how that compares to what was said in it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from ops.bench.hearing.scenes import Scene, Turn
from producer.speech.detector import Detector
from producer.speech.endpointing import Endpointing
from producer.speech.segmenter import Segmenter, Skipped, SpeechSegment


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A scene as one detector heard it."""

    frames: list[NDArray[np.int16]]
    verdicts: list[tuple[bool, bool]]
    """Whether each frame is speech, and whether the detector was sure."""
    cpu_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Shipped:
    """An utterance, and how far the stream had come when it was handed out, in samples."""

    segment: SpeechSegment
    at: int

    @property
    def start(self) -> int:
        return self.segment.start

    @property
    def end(self) -> int:
        return self.segment.start + len(self.segment.samples)

    def overlaps(self, turn: Turn) -> bool:
        """Whether it holds any of the turn, by where its speech is, not its pre-roll and tail."""
        return self.start < turn.end and self.segment.end_of_speech > turn.start


@dataclass(slots=True)
class Score:
    """Counts over one or more scenes. Durations in ms."""

    turns: int = 0
    missed: int = 0
    """Turns of which nothing was shipped; the next two count those that were heard and skipped."""
    too_short: int = 0
    doubtful: int = 0
    false_utterances: int = 0
    skipped: int = 0
    """Segments below the preset's least speech, parts of turns among them."""
    parts_too_short: int = 0
    """Turns that lack a part before or after a pause because it was so short, by the preset: they
    count as neither clipped nor cut off."""
    run_together: int = 0
    false_cut_offs: int = 0
    cut_at_pause: dict[float, int] = field(default_factory=dict)
    """Turns cut by the length of the pause in them, where that is the preset's right too."""
    onset_ms: list[float] = field(default_factory=list)
    tail_ms: list[float] = field(default_factory=list)
    delay_ms: list[float] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "turns": self.turns,
            "missed": self.missed,
            "too_short": self.too_short,
            "doubtful": self.doubtful,
            "parts_too_short": self.parts_too_short,
            "false_utterances": self.false_utterances,
            "skipped": self.skipped,
            "run_together": self.run_together,
            "false_cut_offs": self.false_cut_offs,
            "cut_at_pause_s": {f"{pause:g}": n for pause, n in sorted(self.cut_at_pause.items())},
            "clipped_onset_ms": _clipped(self.onset_ms),
            "clipped_tail_ms": _clipped(self.tail_ms),
            "delay_ms": _spread(self.delay_ms),
        }


def judged(scene: Scene, detector: Detector, frame_samples: int) -> Judged:
    """Every whole frame of the scene, judged in order; timed by this thread's CPU."""
    samples = scene.samples
    frames = [
        samples[at : at + frame_samples]
        for at in range(0, len(samples) - frame_samples + 1, frame_samples)
    ]
    began = time.thread_time()
    verdicts = [(detector.is_speech(frame), detector.is_sure) for frame in frames]
    return Judged(frames, verdicts, time.thread_time() - began)


def cut(heard: Judged, rules: Endpointing) -> tuple[list[Shipped], list[Skipped]]:
    """The utterances that the segmenter makes of it, and what it skips."""
    frame_samples = len(heard.frames[0])
    segmenter = Segmenter(rules, frame_samples)
    shipped: list[Shipped] = []
    skipped: list[Skipped] = []
    for number, (frame, verdict) in enumerate(
        zip(heard.frames, heard.verdicts, strict=True), start=1
    ):
        events = segmenter.push(frame, *verdict)
        shipped += [
            Shipped(e, number * frame_samples) for e in events if isinstance(e, SpeechSegment)
        ]
        skipped += [event for event in events if isinstance(event, Skipped)]
    end = len(heard.frames) * frame_samples
    last = segmenter.finish()
    shipped += [Shipped(event, end) for event in last if isinstance(event, SpeechSegment)]
    skipped += [event for event in last if isinstance(event, Skipped)]
    return shipped, skipped


def score(
    turns: Iterable[Turn], shipped: list[Shipped], skipped: list[Skipped], rules: Endpointing
) -> Score:
    """Compares what was shipped with what was said."""
    result = Score(skipped=len(skipped))
    of: dict[int, int] = {}
    for turn in turns:
        result.turns += 1
        own = [(n, one) for n, one in enumerate(shipped) if one.overlaps(turn)]
        for number, _ in own:
            of[number] = of.get(number, 0) + 1
        parts = [one for one in skipped if one.start < turn.end and one.end_of_speech > turn.start]
        _score_turn(result, turn, [one for _, one in own], parts, rules)
    result.false_utterances = len(shipped) - len(of)
    result.run_together = sum(count - 1 for count in of.values())
    return result


def _score_turn(
    result: Score, turn: Turn, own: list[Shipped], parts: list[Skipped], rules: Endpointing
) -> None:
    if not own:
        result.missed += 1
        result.too_short += any(not part.is_doubtful for part in parts)
        result.doubtful += any(part.is_doubtful for part in parts)
        return
    before = any(part.start < own[0].start for part in parts)
    after = any(part.end_of_speech > own[-1].end for part in parts)
    result.parts_too_short += before or after
    if not before:
        result.onset_ms.append(_ms(own[0].start - turn.start))
    if not after:
        result.tail_ms.append(_ms(turn.end - own[-1].end))
        result.delay_ms.append(_ms(own[-1].at - turn.end))
    ends = [one for one in own if not one.segment.continued]
    if turn.pause_s >= rules.silence_s:
        result.cut_at_pause[turn.pause_s] = result.cut_at_pause.get(turn.pause_s, 0) + (
            len(ends) > 1
        )
    else:
        result.false_cut_offs += len(ends) > 1


def _ms(samples: int) -> float:
    return 1000 * samples / SAMPLE_RATE


def _clipped(missing_ms: list[float]) -> dict[str, float]:
    """How many turns lack how much; `least_margin_ms` is what the closest one had to spare."""
    clipped = [max(one, 0.0) for one in missing_ms]
    return {
        "clipped": sum(one > 0 for one in clipped),
        "mean": round(float(np.mean(clipped or [0.0])), 1),
        "max": round(max(clipped, default=0.0), 1),
        "least_margin_ms": round(-max(missing_ms, default=0.0), 1),
    }


def _spread(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p90": None}
    return {
        "p50": round(float(np.percentile(values, 50)), 1),
        "p90": round(float(np.percentile(values, 90)), 1),
    }
