"""`earshot bench hearing` measures the real detectors: the default one ships no noise, misses no
clear sentence and clips none; and it measures a user's folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from common.settings import ListenSettings
from ops.bench.hearing.plan import noises
from ops.bench.hearing.scenes import make_noise
from ops.bench.hearing.score import cut, detect
from ops.bench.hearing.voices import load_recording
from ops.demo.recording_file import AUDIO, read_sentences
from producer.sources.source import frame_samples
from producer.speech.detector_choice import choose_detector
from producer.speech.endpointing import PRESETS, endpointing_rules
from tests.support.command_line import InProcessCommand

CASCADE = ("bench", "hearing", "--json", "--detector", "cascade")


@pytest.fixture
def earshot(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> InProcessCommand:
    return InProcessCommand(monkeypatch, capsys)


def test_the_default_detector_hears_the_recordings_sentences_in_noise(
    earshot: InProcessCommand,
) -> None:
    status, out, _ = earshot(
        *CASCADE,
        *("--no-words", "--preset", "command", "--sentences", "9"),
        *("--noise", "pink", "--snr", "10", "--noise-minutes", "1"),
    )
    assert status == 0
    result = json.loads(out)
    assert [(row["noise"], row["snr_db"]) for row in result["rows"]] == [
        ("clean", None),
        ("pink", 10),
    ]
    for row in result["rows"]:
        assert (row["turns"], row["missed"], row["false_utterances"]) == (9, 0, 0)
        assert row["clipped_onset_ms"]["clipped"] == row["clipped_tail_ms"]["clipped"] == 0
        assert row["false_cut_offs"] == row["run_together"] == 0
        assert 500 < row["delay_ms"]["p50"] < 900
    assert [row["false_utterances"] for row in result["noise_alone"]] == [0]
    assert 0 < result["cpu_ms_per_s"]["cascade"] < 1_000


def test_ten_minutes_of_noise_ship_nothing(earshot: InProcessCommand) -> None:
    status, out, _ = earshot(*CASCADE, "--no-words", "--sentences", "1", "--snr", "20")
    assert status == 0
    alone = json.loads(out)["noise_alone"]
    assert sum(row["seconds"] for row in alone if row["preset"] == "command") == 600
    assert [row for row in alone if row["false_utterances"]] == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_minutes_of_a_crowd_of_three_voices_ship_nothing(seed: int) -> None:
    # each voice speaks four times at once, and now and then one of them stands out
    crowd = noises(list(load_recording()))["babble"]
    settings = ListenSettings(vad="cascade")
    scene = make_noise(crowd, 120, np.random.default_rng(seed))
    heard = detect(scene, choose_detector(settings), frame_samples(settings.frame_ms))
    for preset in PRESETS:
        rules = endpointing_rules(ListenSettings(vad="cascade", preset=preset))
        assert cut(heard, rules)[0] == []


def test_words_are_counted_against_perfectly_cut_sentences(earshot: InProcessCommand) -> None:
    status, out, _ = earshot(
        *CASCADE,
        *("--preset", "conversation", "--sentences", "3", "--word-sentences", "3"),
        *("--noise", "white", "--snr", "20", "--noise-minutes", "0"),
    )
    assert status == 0
    words = [(row["wer"], row["wer_perfectly_cut"]) for row in json.loads(out)["rows"]]
    assert len(words) == 2
    assert all(wer <= 0.34 and perfect <= 0.34 for wer, perfect in words), words


def test_a_folder_of_ones_own_is_measured(earshot: InProcessCommand, tmp_path: Path) -> None:
    audio, rate = soundfile.read(AUDIO, dtype="int16")
    first = read_sentences()[0]
    soundfile.write(
        tmp_path / "said.wav", audio[round(first.start_s * rate) : round(first.end_s * rate)], rate
    )
    (tmp_path / "said.txt").write_text(first.text)
    (tmp_path / "said.json").write_text(json.dumps([[0, first.end_s - first.start_s]]))
    hiss = np.random.default_rng(0).normal(0, 1_000, 3 * rate).astype(np.int16)
    soundfile.write(tmp_path / "noise.flac", hiss, rate)
    (tmp_path / "noise.json").write_text("[]")
    status, out, _ = earshot(
        *CASCADE, "--preset", "command", "--folder", str(tmp_path), "--model", "demo"
    )
    assert status == 0
    noise, said = json.loads(out)["rows"]
    assert (noise["file"], noise["utterances"], noise["false_utterances"]) == ("noise.flac", 0, 0)
    assert (said["file"], said["utterances"], said["missed"]) == ("said.wav", 1, 0)
    assert (said["words"], said["word_errors"]) == (len(first.text.split()), 0)


def test_the_table_is_for_people(earshot: InProcessCommand, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000, np.int16), 16_000)
    status, out, _ = earshot("bench", "hearing", "--folder", str(tmp_path), "--detector", "webrtc")
    assert status == 0
    assert "files without an utterance" in out
    assert "webrtc    command" in out
    assert "ms of CPU time per second of audio" in out
