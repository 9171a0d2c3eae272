"""The evaluation of hearing counts right: it is given ears whose mistakes are known."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.errors import BadInput
from ops.bench.hearing import noise, scenes, voices
from ops.bench.hearing.folder import BEFORE_S, read_recordings
from ops.bench.hearing.plan import KINDS, SENTENCES, noises
from ops.bench.hearing.scenes import PAUSES_S, Scene, Turn, make_noise, make_talk, mix
from ops.bench.hearing.score import CutSegment, Score, cut, detect, score
from ops.bench.hearing.voices import SPEECH_RMS, TEXTS, Clip, load_recording
from ops.bench.hearing.whole_path import Comparison, WholePath
from ops.bench.hearing.words import word_errors
from producer.speech.endpointing import PRESETS
from tests.support.speech_script import FRAME, LoudnessDetector

COMMAND = PRESETS["command"]


def scene(*spoken_s: tuple[float, float]) -> Scene:
    """Ten seconds in which it is loud between these times."""
    samples = np.zeros(10 * SAMPLE_RATE, np.int16)
    for start, end in spoken_s:
        samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = 2_000
    return Scene(samples, ())


def turn(start_s: float, end_s: float, pause_s: float = 0.0) -> Turn:
    return Turn(round(start_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE), "", pause_s)


def scored(heard: Scene, *turns: Turn) -> Score:
    shipped, skipped = cut(detect(heard, LoudnessDetector(), FRAME), COMMAND)
    return score(turns, shipped, skipped, COMMAND)


def test_a_perfect_ear_has_nothing_to_confess() -> None:
    result = scored(scene((1, 3), (5, 6)), turn(1, 3), turn(5, 6))
    counts = result.turns, result.missed, result.false_utterances, result.skipped
    assert counts == (2, 0, 0, 0)
    assert (result.run_together, result.false_cut_offs) == (0, 0)
    shown = result.as_dict()
    assert shown["clipped_onset_ms"] == pytest.approx(
        {"clipped": 0, "mean": 0.0, "max": 0.0, "least_margin_ms": 300.0}, abs=31
    )
    assert result.delay_ms == pytest.approx([600, 600], abs=61), "the preset's silence"


def test_a_deaf_ear_misses_and_a_nervous_one_ships_noise() -> None:
    result = scored(scene((7, 8)), turn(1, 3))
    assert (result.missed, result.too_short, result.false_utterances) == (1, 0, 1)


def test_too_short_is_missed_and_skipped() -> None:
    result = scored(scene((1, 1.2)), turn(1, 1.2))
    assert (result.missed, result.too_short, result.skipped) == (1, 1, 1)


def test_what_was_heard_with_doubt_is_missed_and_doubtful() -> None:
    class Doubtful(LoudnessDetector):
        @property
        def is_sure(self) -> bool:
            return False

    shipped, skipped = cut(detect(scene((1, 3)), Doubtful(), FRAME), COMMAND)
    result = score([turn(1, 3)], shipped, skipped, COMMAND)
    assert (result.missed, result.too_short, result.doubtful) == (1, 0, 1)


def test_a_part_that_was_too_short_is_not_clipped() -> None:
    result = scored(scene((1, 1.2), (2, 4)), turn(1, 4, pause_s=0.8))
    assert (result.missed, result.parts_too_short, result.onset_ms) == (0, 1, [])


def test_an_ear_that_wakes_late_clips() -> None:
    result = scored(scene((2, 4)), turn(1, 4.5))
    assert result.onset_ms == pytest.approx([700], abs=31), "a second late, 0.3 s of pre-roll"
    assert result.tail_ms == pytest.approx([200], abs=31), "0.5 s early, 0.3 s of tail"


@pytest.mark.parametrize(("pause_s", "false", "rightly"), [(0.5, 0, {}), (0.8, 0, {0.8: 1})])
def test_a_turn_is_cut_at_a_pause_as_long_as_the_silence_limit(
    pause_s: float, false: int, rightly: dict[float, int]
) -> None:
    result = scored(scene((1, 2), (2 + pause_s, 4)), turn(1, 4, pause_s))
    assert (result.false_cut_offs, result.cut_at_pause) == (false, rightly)


def test_a_cut_at_a_shorter_pause_is_a_false_one() -> None:
    result = scored(scene((1, 2), (2.8, 4)), turn(1, 4, pause_s=0.2))
    assert result.false_cut_offs == 1


def test_two_turns_in_one_utterance_ran_together() -> None:
    assert scored(scene((1, 4)), turn(1, 2), turn(3, 4)).run_together == 1


@pytest.mark.parametrize(
    ("said", "heard", "errors", "words"),
    [
        ("Turn on the lights.", "turn ON the lights", 0, 4),
        ("Turn on the lights.", "Turn the light", 2, 4),
        ("Yes.", "Yes, it is.", 2, 1),
        ("one two three", "", 3, 3),
        ("", "thank you", 2, 0),
    ],
)
def test_word_errors_are_counted(said: str, heard: str, errors: int, words: int) -> None:
    result = word_errors(said, heard)
    assert (result.errors, result.words) == (errors, words)


def test_the_whole_path_counts_what_it_lost_and_made_up_but_no_halves() -> None:
    lengths = {1: "one two", 2: "three four", 3: "never said"}  # said by how many seconds it takes

    def transcribe(samples: NDArray[np.int16]) -> str:
        return lengths[int(np.count_nonzero(samples) / SAMPLE_RATE)]

    whole = scene((1, 2), (4, 6), (6.8, 7.8))
    turns = (
        Turn(*_samples(1, 2), "one two"),
        Turn(*_samples(4, 7.8), "three four five six", pause_s=0.8),
    )
    path = WholePath(Scene(whole.samples, turns), transcribe)
    shipped, _ = cut(detect(whole, LoudnessDetector(), FRAME), COMMAND)
    assert len(shipped) == 3
    assert compared(path, shipped) == Comparison(2, 1, 1, path=[0], perfect=[0])
    missed = compared(path, shipped[1:])
    assert missed == Comparison(2, 1, 1, path=[2], perfect=[0])
    assert (missed.as_dict()["wer"], missed.as_dict()["wer_excess_points"]) == (1.0, 100.0)
    besides = cut(detect(scene((1, 2), (7, 10)), LoudnessDetector(), FRAME), COMMAND)[0]
    path = WholePath(Scene(scene((1, 2), (7, 10)).samples, turns[:1]), transcribe)
    made_up = Comparison(2, 1, 0, path=[0, 2], perfect=[0, 0])
    assert compared(path, besides) == made_up, "two words that nobody said"


def test_sentences_that_ran_together_are_compared_as_one() -> None:
    whole = scene((1, 4), (6, 7))
    turns = (Turn(*_samples(1, 2), "a b"), Turn(*_samples(3, 4), "c"), Turn(*_samples(6, 7), "d"))
    texts = {3: "a b c", 1: "d"}
    path = WholePath(
        Scene(whole.samples, turns),
        lambda samples: texts[round(np.count_nonzero(samples) / SAMPLE_RATE)],
    )
    shipped, _ = cut(detect(whole, LoudnessDetector(), FRAME), COMMAND)
    assert compared(path, shipped).path == [0, 0]


def test_the_difference_has_an_interval_that_more_sentences_narrow() -> None:
    some = Comparison(40, 10, 0, path=[4, 0] * 5, perfect=[0, 4] * 5).as_dict()
    more = Comparison(400, 100, 0, path=[4, 0] * 50, perfect=[0, 4] * 50).as_dict()
    assert some["wer_excess_points"] == more["wer_excess_points"] == 0
    low, high = some["wer_excess_interval_points"]
    assert low == -high < -50
    assert 10 < more["wer_excess_interval_points"][1] < high / 2


def compared(path: WholePath, shipped: list[CutSegment]) -> Comparison:
    result = Comparison()
    path.compare(shipped, COMMAND, result)
    return result


def _samples(start_s: float, end_s: float) -> tuple[int, int]:
    return round(start_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return list(load_recording())[:4]


def test_every_turn_lies_where_its_voice_is(clips: list[Clip]) -> None:
    parts = tuple(np.array_split(clips[0].parts[0], 2))
    paused = [Clip("a b", parts, "x"), *clips[1:], Clip("c d", parts, "x")]
    whole = make_talk(paused, np.random.default_rng(1))
    assert [one.pause_s for one in whole.turns] == [PAUSES_S[0], 0, 0, 0, PAUSES_S[1]]
    for one, clip in zip(whole.turns, paused, strict=True):
        pause = round(one.pause_s * SAMPLE_RATE)
        assert one.end - one.start == sum(map(len, clip.parts)) + pause
        assert one.text == clip.text
    silent = np.ones(len(whole.samples), bool)
    for one in whole.turns:
        silent[one.start : one.end] = False
    assert not whole.samples[silent].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snr_db", [20.0, 0.0])
def test_the_noise_is_as_loud_as_asked(kind: str, snr_db: float, clips: list[Clip]) -> None:
    whole = make_talk(clips, np.random.default_rng(1))
    noisy = mix(whole, noises(clips)[kind], snr_db, np.random.default_rng(2))
    before = rms(noisy.samples[: whole.turns[0].start])
    assert 20 * np.log10(SPEECH_RMS / before) == pytest.approx(snr_db, abs=2.5)


def test_the_same_seed_gives_the_same_mix(clips: list[Clip]) -> None:
    whole = make_talk(clips, np.random.default_rng(1))
    one, other, third = (
        mix(whole, noise.white, 10, np.random.default_rng(seed)).samples for seed in (1, 1, 2)
    )
    assert np.array_equal(one, other)
    assert not np.array_equal(one, third)


def test_who_has_no_engines_gets_the_same_talk_and_the_same_babble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = voices.load_clips(SENTENCES)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    bare = voices.load_clips(SENTENCES)
    assert [clip.text for clip in bare][-len(TEXTS) :] == [one.replace(" /", "") for one in TEXTS]
    assert len({clip.voice for clip in bare}) == 8
    for clip, other in zip(here, bare, strict=True):
        assert (clip.text, clip.voice) == (other.text, other.voice)
        assert all(map(np.array_equal, clip.parts, other.parts))
    for clip in bare[-len(TEXTS) :]:
        assert len(clip.parts) == TEXTS[bare.index(clip) - len(bare)].count("/") + 1
        level = np.sqrt(np.mean(np.concatenate(clip.parts) ** 2))
        assert level == pytest.approx(SPEECH_RMS, rel=0.001), clip.text


def test_noise_alone_changes_its_level() -> None:
    samples = make_noise(noise.white, 20, np.random.default_rng(1)).samples
    half = len(samples) // 2
    levels = [20 * np.log10(rms(part)) for part in (samples[:half], samples[half:])]
    assert levels == pytest.approx(scenes.NOISE_LEVELS_DBFS[:2], abs=0.5)


def rms(samples: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean((samples / 32_768) ** 2)))


def test_a_folder_is_read_with_its_texts_and_turns(tmp_path: Path) -> None:
    tone = (0.1 * np.sin(np.arange(44_100) / 20)).astype(np.float32)
    for name in ("a.wav", "b.flac", "notes.md"):
        soundfile.write(tmp_path / name, tone, 44_100, format="WAV" if "b" not in name else "FLAC")
    (tmp_path / "a.txt").write_text("hello there\n")
    (tmp_path / "a.json").write_text(json.dumps([[0.25, 0.75]]))
    one, other = read_recordings(tmp_path)
    assert (one.name, one.text, one.has_turns) == ("a.wav", "hello there", True)
    assert (other.name, other.text, other.has_turns) == ("b.flac", None, False)
    assert one.scene.turns == (turn(BEFORE_S + 0.25, BEFORE_S + 0.75),)
    assert one.scene.seconds == pytest.approx(1 + BEFORE_S + 3)


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no \.wav and no \.flac file"):
        read_recordings(tmp_path)


@pytest.mark.parametrize("turns", ["{", "[1, 2]", "[[1]]", '[["a", 2]]'])
def test_turns_of_another_form_are_refused(turns: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16_000)
    (tmp_path / "a.json").write_text(turns)
    with pytest.raises(BadInput, match=r"a\.json must be a list of turns in seconds"):
        read_recordings(tmp_path)


@pytest.mark.parametrize("turns", ["[[NaN, 1]]", "[[0.5, 0.2]]", "[[0.5, 7]]", "[[-1, 0.5]]"])
def test_turns_that_cannot_be_are_refused(turns: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    (tmp_path / "a.json").write_text(turns)
    with pytest.raises(BadInput, match=r"a\.json has a turn from .* the recording lasts 1\.0 s"):
        read_recordings(tmp_path)


def test_a_text_that_is_none_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16_000)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"a\.txt is not text in UTF-8"):
        read_recordings(tmp_path)
    (tmp_path / "a.txt").unlink()
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(BadInput, match=r"a\.txt cannot be read: Is a directory"):
        read_recordings(tmp_path)


def test_a_damaged_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFFnothing")
    with pytest.raises(BadInput, match=r"a\.wav is no audio that can be read"):
        read_recordings(tmp_path)
