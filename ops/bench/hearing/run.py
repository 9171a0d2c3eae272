"""One run of the evaluation: every detector and preset over the same scenes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from common.audio import SAMPLE_RATE
from common.settings import ListenSettings
from ops.bench.hearing import scenes
from ops.bench.hearing.folder import Recording, recordings
from ops.bench.hearing.judge import Judged, Score, Shipped, cut, judged, score
from ops.bench.hearing.plan import CLEAN, SENTENCES, Plan, noises
from ops.bench.hearing.scenes import Noise, Scene
from ops.bench.hearing.voices import Clip, clips
from ops.bench.hearing.whole_path import Comparison, Transcribe, WholePath, perfectly_cut
from ops.bench.hearing.words import word_errors
from producer.sources.source import frame_samples
from producer.speech.detector_choice import choose_detector
from producer.speech.endpointing import Endpointing, endpointing_rules

Row = dict[str, Any]
Say = Callable[[str], None]


@dataclass(slots=True)
class _Cpu:
    """CPU time and audio by detector, in seconds."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    audio_s: dict[str, float] = field(default_factory=dict)

    def add(self, detector: str, cpu_s: float, audio_s: float) -> None:
        self.cpu_s[detector] = self.cpu_s.get(detector, 0.0) + cpu_s
        self.audio_s[detector] = self.audio_s.get(detector, 0.0) + audio_s

    def as_dict(self) -> dict[str, float]:
        return {name: round(1000 * self.cpu_s[name] / self.audio_s[name], 2) for name in self.cpu_s}


def run(plan: Plan, transcribe: Transcribe | None, say: Say) -> dict[str, Any]:
    """Measures the plan; `say` is told what goes on. Without `transcribe` no words are counted."""
    cpu = _Cpu()
    spoken = clips(plan.sentences)
    kinds = noises(clips(SENTENCES))
    talk = scenes.talk(spoken, np.random.default_rng(plan.seed))
    more = clips(plan.word_sentences) if transcribe else []
    conditions: list[tuple[str, float | None]] = [(CLEAN, None)]
    conditions += [(kind, snr_db) for kind in plan.noises for snr_db in plan.snrs_db]
    rows: list[Row] = []
    for kind, snr_db in conditions:
        say(kind if snr_db is None else f"{kind} at {snr_db:g} dB")
        scene = scenes.mixed(talk, kinds.get(kind), snr_db, np.random.default_rng(plan.seed))
        where = {"noise": kind, "snr_db": snr_db}
        words: dict[str, Row] = {}
        if transcribe and (snr_db is None or snr_db >= plan.wer_least_snr_db):
            words = _words(plan, _drawn(plan, more, kinds.get(kind), snr_db, say), transcribe, cpu)
        for row in _rows(plan, scene, cpu):
            counted = row["preset"] == plan.wer_preset
            rows.append({**where, **row, **(words.get(row["detector"], {}) if counted else {})})
    alone: list[Row] = []
    for kind in plan.noises if plan.noise_minutes else ():
        say(f"{kind} alone")
        seconds = 60 * plan.noise_minutes / len(plan.noises)
        scene = scenes.alone(kinds[kind], seconds, np.random.default_rng(plan.seed))
        for row in _rows(plan, scene, cpu):
            kept = ("detector", "preset", "false_utterances", "skipped")
            alone.append({"noise": kind, "seconds": seconds} | {name: row[name] for name in kept})
    return {
        "sentences": len(spoken),
        "voices": sorted({clip.voice for clip in spoken}),
        "cpu_ms_per_s": cpu.as_dict(),
        "noise_alone": alone,
        "rows": rows,
    }


def run_folder(plan: Plan, folder: Path, transcribe: Transcribe | None, say: Say) -> dict[str, Any]:
    """The same over a folder of recordings (see `ops.bench.hearing.folder`); raises BadInput."""
    cpu = _Cpu()
    rows: list[Row] = []
    for recording in recordings(folder):
        say(recording.name)
        for detector, preset, heard, rules in _heard(plan, recording.scene, cpu):
            rows.append(
                {"file": recording.name, "detector": detector, "preset": preset}
                | _file_row(recording, heard, rules, transcribe)
            )
    return {"cpu_ms_per_s": cpu.as_dict(), "rows": rows}


def _file_row(
    recording: Recording, heard: Judged, rules: Endpointing, transcribe: Transcribe | None
) -> Row:
    shipped, skipped = cut(heard, rules)
    row: Row = {
        "utterances": len(shipped),
        "skipped": len(skipped),
        "skipped_speech_s": [round(one.speech_s, 2) for one in skipped],
        "speech_s": round(sum(one.segment.speech_samples for one in shipped) / SAMPLE_RATE, 2),
    }
    if recording.has_turns:
        row |= score(recording.scene.turns, shipped, skipped, rules).as_dict()
    if transcribe and recording.text is not None:
        errors = word_errors(recording.text, _text(shipped, transcribe))
        row |= {"words": errors.words, "word_errors": errors.errors}
        if recording.has_turns:
            perfect = perfectly_cut(recording.scene, recording.scene.turns, transcribe)
            row["word_errors_perfectly_cut"] = word_errors(recording.text, perfect).errors
    return row


def _rows(plan: Plan, scene: Scene, cpu: _Cpu) -> Iterator[Row]:
    for detector, preset, heard, rules in _heard(plan, scene, cpu):
        result: Score = score(scene.turns, *cut(heard, rules), rules)
        yield {"detector": detector, "preset": preset, **result.as_dict()}


def _drawn(
    plan: Plan, spoken: list[Clip], kind: Noise | None, snr_db: float | None, say: Say
) -> Iterator[Scene]:
    """The sentences for words: as often as planned, each time in other noise after other gaps."""
    for draw in range(plan.word_draws):
        say(f"  its words, {draw + 1} of {plan.word_draws}")
        seed = plan.seed + draw
        talk = scenes.talk(spoken, np.random.default_rng(seed))
        yield scenes.mixed(talk, kind, snr_db, np.random.default_rng(seed))


def _words(plan: Plan, drawn: Iterable[Scene], transcribe: Transcribe, cpu: _Cpu) -> dict[str, Row]:
    """Word errors of the scenes by detector."""
    only = replace(plan, presets=(plan.wer_preset,))
    compared: dict[str, Comparison] = defaultdict(Comparison)
    for scene in drawn:
        path = WholePath(scene, transcribe)
        for detector, _, heard, rules in _heard(only, scene, cpu):
            path.compare(cut(heard, rules)[0], rules, compared[detector])
    return {detector: comparison.as_dict() for detector, comparison in compared.items()}


def _heard(plan: Plan, scene: Scene, cpu: _Cpu) -> Iterator[tuple[str, str, Judged, Endpointing]]:
    for detector in plan.detectors:
        settings = ListenSettings.model_validate({"vad": detector})
        heard = judged(scene, choose_detector(settings), frame_samples(settings.frame_ms))
        cpu.add(detector, heard.cpu_s, scene.seconds)
        for preset in plan.presets:
            rules = endpointing_rules(settings.model_copy(update={"preset": preset}))
            yield detector, preset, heard, rules


def _text(shipped: list[Shipped], transcribe: Transcribe) -> str:
    return " ".join(transcribe(one.segment.samples) for one in shipped)
