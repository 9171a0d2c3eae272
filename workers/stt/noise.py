"""Telling speech from noise by what Whisper made of a sound."""


def is_noise(
    text: str,
    *,
    no_speech_prob: float,
    avg_logprob: float,
    no_speech_threshold: float,
    log_prob_threshold: float,
) -> bool:
    """Return whether a text is noise: no letter or digit in it, or both scores bad.

    The second part is Whisper's own rule (Radford et al. 2022, section 4.5). One score alone is
    wrong too often: the first on quiet speech, the second on rare words.
    """
    if not any(character.isalnum() for character in text):
        return True
    return no_speech_prob > no_speech_threshold and avg_logprob < log_prob_threshold
