"""One channel of a microphone can be heard alone; one that it lacks is refused by name."""

import numpy as np
import pytest

from common.errors import NoMicrophone
from producer.microphone.capture import Block, Format, _accepted_format
from producer.microphone.devices import InputDevice
from producer.microphone.microphone import Microphone
from tests.unit.producer.microphone.test_capture import Device

ARRAY = InputDevice(0, "array", "ALSA", 4, 48_000, True)


@pytest.mark.parametrize("channel", [1, 2, 4])
def test_only_that_channel_comes_out(channel: int) -> None:
    microphone = Microphone(channel=channel)
    samples = np.array([[100, 200, 300, 400]] * 1_600, np.int16)
    heard = microphone._convert(Block(samples.tobytes(), Format(16_000, 4)))
    assert set(heard.tolist()) == {100 * channel}


def test_the_device_records_as_many_channels_as_it_takes() -> None:
    accepted = [
        _accepted_format(Device((16_000, 1), (16_000, 3), (48_000, 4)), ARRAY, 3),
        _accepted_format(Device((16_000, 1), (48_000, 2), (48_000, 4)), ARRAY, 3),
        _accepted_format(Device((16_000, 1), (48_000, 2)), ARRAY, 2),
    ]
    assert [(each.rate, each.channels) for each in accepted] == [
        (16_000, 3),
        (48_000, 4),
        (48_000, 2),
    ]


def test_a_channel_that_the_device_lacks_is_refused() -> None:
    with pytest.raises(NoMicrophone, match="array has no channel 5: it has 4"):
        _accepted_format(Device((16_000, 1)), ARRAY, 5)
