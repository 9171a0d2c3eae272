"""What the detector and the segmenter make of a scene, compared with what was said in it."""

import time
from collections import Counter
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
class Detection:
    """What a detector decided about each frame of a scene."""

    frames: list[NDArray[np.int16]]
    decisions: list[tuple[bool, bool]]
    """Whether each frame is speech, and whether the detector was sure."""
    cpu_s: float


@dataclass(frozen=True, slots=True, eq=False)
class CutSegment:
    """A speech segment, and the position in the scene at which the segmenter returned it."""

    segment: SpeechSegment
    at: int

    @property
    def start(self) -> int:
        return self.segment.start

    @property
    def end(self) -> int:
        return self.segment.start + len(self.segment.samples)

    def overlaps(self, turn: Turn) -> bool:
        """Return whether its speech overlaps with the turn; pre-roll and tail do not count."""
        return self.start < turn.end and self.segment.end_of_speech > turn.start


@dataclass(slots=True)
class Score:
    """The counts of one scene. Durations are in ms."""

    turns: int = 0
    missed: int = 0
    """Turns without a segment. The next two counts are those of them that were skipped, and why."""
    too_short: int = 0
    doubtful: int = 0
    false_utterances: int = 0
    skipped: int = 0
    """Pieces of speech that the segmenter skipped; a piece may be a part of a turn."""
    parts_too_short: int = 0
    """Turns whose part before or after a pause was skipped, because it is too short for the preset.
    They count neither as clipped nor as cut off."""
    run_together: int = 0
    false_cut_offs: int = 0
    cut_at_pause: dict[float, int] = field(default_factory=dict)
    """Turns that the preset rightly cuts in two at their pause, by the length of the pause."""
    onset_ms: list[float] = field(default_factory=list)
    tail_ms: list[float] = field(default_factory=list)
    delay_ms: list[float] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """Return the counts for JSON."""
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
            "clipped_onset_ms": _summarise_clipping(self.onset_ms),
            "clipped_tail_ms": _summarise_clipping(self.tail_ms),
            "delay_ms": _percentiles(self.delay_ms),
        }


def detect(scene: Scene, detector: Detector, frame_samples: int) -> Detection:
    """Run the detector over each whole frame of the scene, and measure this thread's CPU time."""
    samples = scene.samples
    frames = [
        samples[at : at + frame_samples]
        for at in range(0, len(samples) - frame_samples + 1, frame_samples)
    ]
    began = time.thread_time()
    decisions = [(detector.is_speech(frame), detector.is_sure) for frame in frames]
    return Detection(frames, decisions, time.thread_time() - began)


def cut(detection: Detection, rules: Endpointing) -> tuple[list[CutSegment], list[Skipped]]:
    """Run the segmenter; return the segments that it cuts, and the pieces that it skips."""
    frame_samples = len(detection.frames[0])
    segmenter = Segmenter(rules, frame_samples)
    segments: list[CutSegment] = []
    skipped: list[Skipped] = []
    for number, (frame, decision) in enumerate(
        zip(detection.frames, detection.decisions, strict=True), start=1
    ):
        events = segmenter.push(frame, *decision)
        segments += [
            CutSegment(event, number * frame_samples)
            for event in events
            if isinstance(event, SpeechSegment)
        ]
        skipped += [event for event in events if isinstance(event, Skipped)]
    end = len(detection.frames) * frame_samples
    last = segmenter.finish()
    segments += [CutSegment(event, end) for event in last if isinstance(event, SpeechSegment)]
    skipped += [event for event in last if isinstance(event, Skipped)]
    return segments, skipped


def score(
    turns: Iterable[Turn], segments: list[CutSegment], skipped: list[Skipped], rules: Endpointing
) -> Score:
    """Compare the segments with the turns that were said."""
    result = Score(skipped=len(skipped))
    turns_in: Counter[int] = Counter()  # how many turns each segment holds, by its number
    for turn in turns:
        result.turns += 1
        own = {n: segment for n, segment in enumerate(segments) if segment.overlaps(turn)}
        turns_in.update(own.keys())
        parts = [one for one in skipped if one.start < turn.end and one.end_of_speech > turn.start]
        _score_turn(result, turn, list(own.values()), parts, rules)
    result.false_utterances = len(segments) - len(turns_in)
    result.run_together = sum(count - 1 for count in turns_in.values())
    return result


def _score_turn(
    result: Score, turn: Turn, own: list[CutSegment], parts: list[Skipped], rules: Endpointing
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
    was_cut = sum(not one.segment.continued for one in own) > 1
    if turn.pause_s >= rules.silence_s:
        result.cut_at_pause[turn.pause_s] = result.cut_at_pause.get(turn.pause_s, 0) + was_cut
    else:
        result.false_cut_offs += was_cut


def _ms(samples: int) -> float:
    return 1000 * samples / SAMPLE_RATE


def _summarise_clipping(missing_ms: list[float]) -> dict[str, float]:
    """Return how many turns lack how much; `least_margin_ms` is the least room that was left."""
    clipped = [max(one, 0.0) for one in missing_ms]
    return {
        "clipped": sum(one > 0 for one in clipped),
        "mean": round(float(np.mean(clipped or [0.0])), 1),
        "max": round(max(clipped, default=0.0), 1),
        "least_margin_ms": round(-max(missing_ms, default=0.0), 1),
    }


def _percentiles(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p90": None}
    return {
        "p50": round(float(np.percentile(values, 50)), 1),
        "p90": round(float(np.percentile(values, 90)), 1),
    }
