"""What the channels of a device record is heard whole and judged one by one."""

import numpy as np
from numpy.typing import NDArray
from structlog.testing import capture_logs

from producer.microphone.capture import Block, Format
from producer.microphone.microphone import Microphone
from producer.sources.level import peak_dbfs, rms_dbfs
from tests.support.speechlike import speechlike

STEREO = Format(48_000, 2)
LEFT = speechlike(2.0, level=0.5)


def heard(microphone: Microphone, *channels: NDArray[np.int16]) -> NDArray[np.int16]:
    samples = np.stack([np.repeat(channel, 3) for channel in channels], axis=1)
    return microphone._convert(Block(samples.tobytes(), STEREO))


def test_a_microphone_on_one_of_two_inputs_is_as_loud_as_it_is() -> None:
    alone = heard(Microphone(), LEFT, np.zeros_like(LEFT))
    both = heard(Microphone(), LEFT, LEFT)
    assert abs(rms_dbfs(alone) - rms_dbfs(both)) < 0.1


def test_a_channel_that_clips_is_noticed_whatever_the_other_hears() -> None:
    clipped = (LEFT.astype(np.int32) * 8).clip(-32_768, 32_767).astype(np.int16)
    microphone = Microphone()
    with capture_logs() as logs:
        audio = heard(microphone, clipped, LEFT // 8)
    assert peak_dbfs(audio) < -1, "the mean does not clip"
    assert [line["event"] for line in logs] == ["microphone_clips"]
