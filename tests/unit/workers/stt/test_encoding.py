"""A sound is encoded once: to find its language and to write its text."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.stt.encoding import LastEncoding


class Encoder:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, features: NDArray[np.float32]) -> Any:
        self.calls += 1
        return float(features.sum())


def test_the_same_features_are_encoded_once() -> None:
    encoder = Encoder()
    encode = LastEncoding(encoder)
    features = np.ones((80, 3000), np.float32)
    assert encode(features) == encode(features.copy()) == features.sum()
    assert encoder.calls == 1


def test_other_features_are_encoded_anew() -> None:
    encoder = Encoder()
    encode = LastEncoding(encoder)
    ones = np.ones((80, 3000), np.float32)
    assert [encode(ones), encode(2 * ones), encode(ones)] == [240_000, 480_000, 240_000]
    assert encode(np.ones((128, 3000), np.float32)) == 384_000
    assert encoder.calls == 4


def test_threads_do_not_share_a_result() -> None:
    encoder = Encoder()
    encode = LastEncoding(encoder)
    features = np.ones((80, 3000), np.float32)
    encode(features)
    thread = threading.Thread(target=encode, args=(features,))
    thread.start()
    thread.join()
    assert encoder.calls == 2
