"""One run: every detector and preset gets the same scenes."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from common.audio import SAMPLE_RATE
from common.settings import ListenSettings
from ops.bench.hearing.folder import Recording, read_recordings
from ops.bench.hearing.plan import CLEAN, SENTENCES, Plan, noises
from ops.bench.hearing.scenes import Noise, Scene, make_noise, make_talk, mix
from ops.bench.hearing.score import CutSegment, Detection, cut, detect, score
from ops.bench.hearing.voices import Clip, load_clips
from ops.bench.hearing.whole_path import (
    Comparison,
    Transcribe,
    WholePath,
    transcribe_perfectly_cut,
)
from ops.bench.hearing.words import word_errors
from ops.bench.progress import Show
from producer.sources.source import frame_samples
from producer.speech.detector_choice import choose_detector
from producer.speech.endpointing import Endpointing, endpointing_rules

Row = dict[str, Any]


@dataclass(slots=True)
class _CpuTimes:
    """CPU time and length of audio by detector, in seconds."""

    cpu_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    audio_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, detector: str, cpu_s: float, audio_s: float) -> None:
        self.cpu_s[detector] += cpu_s
        self.audio_s[detector] += audio_s

    def ms_per_s(self) -> dict[str, float]:
        return {name: round(1000 * self.cpu_s[name] / self.audio_s[name], 2) for name in self.cpu_s}


def run(plan: Plan, transcribe: Transcribe | None, show: Show) -> dict[str, Any]:
    """Measure what is planned. Without `transcribe` no words are counted."""
    cpu = _CpuTimes()
    clips = load_clips(plan.sentences)
    kinds = noises(load_clips(SENTENCES))
    talk = make_talk(clips, np.random.default_rng(plan.seed))
    word_clips = load_clips(plan.word_sentences) if transcribe else []
    conditions: list[tuple[str, float | None]] = [(CLEAN, None)]
    conditions += [(kind, snr_db) for kind in plan.noises for snr_db in plan.snrs_db]
    rows: list[Row] = []
    for kind, snr_db in conditions:
        show(f"{kind} ..." if snr_db is None else f"{kind} at {snr_db:g} dB ...")
        noise = kinds.get(kind)
        scene = mix(talk, noise, snr_db, np.random.default_rng(plan.seed))
        words: dict[str, Row] = {}
        if transcribe and (snr_db is None or snr_db >= plan.wer_least_snr_db):
            scenes = _make_word_scenes(plan, word_clips, noise, snr_db, show)
            words = _count_words(plan, scenes, transcribe, cpu)
        for row in _score_scene(plan, scene, cpu):
            has_words = row["preset"] == plan.wer_preset
            of_words = words.get(row["detector"], {}) if has_words else {}
            rows.append({"noise": kind, "snr_db": snr_db, **row, **of_words})
    noise_alone = _score_noise(plan, kinds, cpu, show)
    return {
        "sentences": len(clips),
        "voices": sorted({clip.voice for clip in clips}),
        "cpu_ms_per_s": cpu.ms_per_s(),
        "noise_alone": noise_alone,
        "rows": rows,
    }


def run_folder(
    plan: Plan, folder: Path, transcribe: Transcribe | None, show: Show
) -> dict[str, Any]:
    """Measure the recordings of a folder (see `ops.bench.hearing.folder`). Raises BadInput."""
    cpu = _CpuTimes()
    rows: list[Row] = []
    for recording in read_recordings(folder):
        show(f"{recording.name} ...")
        for detector, preset, detection, rules in _run_detectors(plan, recording.scene, cpu):
            rows.append(
                {"file": recording.name, "detector": detector, "preset": preset}
                | _score_recording(recording, detection, rules, transcribe)
            )
    return {"cpu_ms_per_s": cpu.ms_per_s(), "rows": rows}


def _score_noise(plan: Plan, kinds: dict[str, Noise], cpu: _CpuTimes, show: Show) -> list[Row]:
    """Count what is made of noise without speech."""
    kept = ("detector", "preset", "false_utterances", "skipped")
    rows: list[Row] = []
    for kind in plan.noises if plan.noise_minutes else ():
        show(f"{kind} alone ...")
        seconds = 60 * plan.noise_minutes / len(plan.noises)
        scene = make_noise(kinds[kind], seconds, np.random.default_rng(plan.seed))
        rows += [
            {"noise": kind, "seconds": seconds} | {name: row[name] for name in kept}
            for row in _score_scene(plan, scene, cpu)
        ]
    return rows


def _score_recording(
    recording: Recording, detection: Detection, rules: Endpointing, transcribe: Transcribe | None
) -> Row:
    segments, skipped = cut(detection, rules)
    row: Row = {
        "utterances": len(segments),
        "skipped": len(skipped),
        "skipped_speech_s": [round(one.speech_s, 2) for one in skipped],
        "speech_s": round(sum(one.segment.speech_samples for one in segments) / SAMPLE_RATE, 2),
    }
    if recording.has_turns:
        row |= score(recording.scene.turns, segments, skipped, rules).as_dict()
    if transcribe and recording.text is not None:
        errors = word_errors(recording.text, _transcribe_segments(segments, transcribe))
        row |= {"words": errors.words, "word_errors": errors.errors}
        if recording.has_turns:
            scene = recording.scene
            perfect = transcribe_perfectly_cut(scene, scene.turns, transcribe)
            row["word_errors_perfectly_cut"] = word_errors(recording.text, perfect).errors
    return row


def _score_scene(plan: Plan, scene: Scene, cpu: _CpuTimes) -> Iterator[Row]:
    for detector, preset, detection, rules in _run_detectors(plan, scene, cpu):
        result = score(scene.turns, *cut(detection, rules), rules)
        yield {"detector": detector, "preset": preset, **result.as_dict()}


def _make_word_scenes(
    plan: Plan, clips: list[Clip], noise: Noise | None, snr_db: float | None, show: Show
) -> Iterator[Scene]:
    """Make the scenes in which words are counted: each with other noise and other gaps."""
    for draw in range(plan.word_draws):
        show(f"  its words, {draw + 1} of {plan.word_draws} ...")
        seed = plan.seed + draw
        talk = make_talk(clips, np.random.default_rng(seed))
        yield mix(talk, noise, snr_db, np.random.default_rng(seed))


def _count_words(
    plan: Plan, scenes: Iterable[Scene], transcribe: Transcribe, cpu: _CpuTimes
) -> dict[str, Row]:
    """Count the word errors of the scenes, by detector."""
    one_preset = replace(plan, presets=(plan.wer_preset,))
    comparisons: dict[str, Comparison] = defaultdict(Comparison)
    for scene in scenes:
        path = WholePath(scene, transcribe)
        for detector, _, detection, rules in _run_detectors(one_preset, scene, cpu):
            path.compare(cut(detection, rules)[0], rules, comparisons[detector])
    return {detector: comparison.as_dict() for detector, comparison in comparisons.items()}


def _run_detectors(
    plan: Plan, scene: Scene, cpu: _CpuTimes
) -> Iterator[tuple[str, str, Detection, Endpointing]]:
    """Yield for each detector and preset what was detected, and the rules of the preset."""
    for detector in plan.detectors:
        settings = ListenSettings.model_validate({"vad": detector})
        detection = detect(scene, choose_detector(settings), frame_samples(settings.frame_ms))
        cpu.add(detector, detection.cpu_s, scene.seconds)
        for preset in plan.presets:
            rules = endpointing_rules(settings.model_copy(update={"preset": preset}))
            yield detector, preset, detection, rules


def _transcribe_segments(segments: list[CutSegment], transcribe: Transcribe) -> str:
    return " ".join(transcribe(one.segment.samples) for one in segments)
