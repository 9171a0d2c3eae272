"""Noise is what has no words, or what the model both doubts and takes for no speech."""

import pytest

from workers.stt.noise import is_noise


def judged(text: str, no_speech_prob: float = 0.1, avg_logprob: float = -0.3) -> bool:
    return is_noise(
        text,
        no_speech_prob=no_speech_prob,
        avg_logprob=avg_logprob,
        no_speech_threshold=0.6,
        log_prob_threshold=-1.0,
    )


@pytest.mark.parametrize("text", ["", "   ", "...", " - ! ?", "♪♪", "。"])
def test_text_without_a_letter_or_digit_is_noise_whatever_the_scores(text: str) -> None:
    assert judged(text)


@pytest.mark.parametrize("text", ["a", "7", "Hello.", "да", "何時", "½"])
def test_anything_said_in_any_script_is_speech(text: str) -> None:
    assert not judged(text)


@pytest.mark.parametrize(
    ("no_speech_prob", "avg_logprob", "noise"),
    [
        (0.61, -1.01, True),
        (0.6, -1.01, False),
        (0.61, -1.0, False),
        (0.99, -0.2, False),
        (0.01, -5.0, False),
        (1.0, -5.0, True),
        (float("nan"), float("nan"), False),
    ],
)
def test_words_are_noise_only_when_both_scores_say_so(
    no_speech_prob: float, avg_logprob: float, noise: bool
) -> None:
    assert judged("Thank you.", no_speech_prob, avg_logprob) is noise
