"""An utterance ends where the mute was pressed, with all of what was said before."""

import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from producer.shipping.outbox import Outbox
from producer.sources.mute import MutableSource, Mute
from producer.sources.raw_pcm import RawPcmSource
from tests.support.ears import MakeEar, kept
from tests.support.speech_script import FRAME, LOUD


def said(frames: int) -> bytes:
    return np.full(frames * FRAME, LOUD, "<i2").tobytes()


def test_an_ear_that_lags_keeps_what_was_said_before_the_mute(
    make: MakeEar, outbox: Outbox
) -> None:
    reading, writing = os.pipe()
    mute = Mute()

    class Slow(RawPcmSource):
        """Its reader is at the first frame when 40 frames were said and the key is pressed."""

        def __iter__(self) -> Iterator[NDArray[np.int16]]:
            for number, frame in enumerate(super().__iter__()):
                if number == 1:
                    mute.toggle()
                    os.write(writing, said(20))
                    mute.toggle()
                    os.write(writing, said(30))
                    os.close(writing)
                yield frame

    os.write(writing, said(40))
    with os.fdopen(reading, "rb") as stream:
        make(MutableSource(Slow(stream), mute), push_to_talk=True).hear()
    spoken = [utterance.speech_ms for utterance in kept(outbox)]
    assert spoken == [40 * 30, 30 * 30]
