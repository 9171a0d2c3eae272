"""Whatever the bytes of an utterance hold, decoding them ends in samples or in BadAudio."""

from random import Random

import numpy as np

from common.audio import CODECS, SAMPLE_RATE, decode, encode
from common.errors import BadAudio
from tests.support.mutations import mutate

ROUNDS = 3_000


def test_damaged_flac_is_samples_or_a_sentence() -> None:
    random = Random(5)
    noise = np.random.default_rng(5).normal(0, 3_000, 8_000).astype(np.int16)
    good = [encode(noise), encode(noise[:100]), encode(np.zeros(8_000, np.int16))]
    sentences, decoded = [], 0
    for _ in range(ROUNDS):
        data = mutate(random, random.choice(good), good)
        samples = random.choice([8_000, 100, 1, 16_000])
        codec = random.choice([*CODECS, "flac", "flac"])
        try:
            audio = decode(data, codec, SAMPLE_RATE, samples, max_samples=16_000)
        except BadAudio as error:
            sentences.append(str(error))
        else:
            assert audio.dtype == np.int16
            assert audio.shape == (samples,)
            decoded += 1
    assert all(sentence.isprintable() for sentence in sentences)
    assert len(sentences) > ROUNDS / 10
    assert decoded > ROUNDS / 100
