"""A device is found by number or part of its name, and whoever names another is told what there
is."""

import sys

import pytest

from common.errors import NoMicrophone
from producer.microphone.devices import InputDevice, find_device, list_devices, strip_card_number


def device(index: int, name: str, *, is_default: bool = False) -> InputDevice:
    return InputDevice(index, name, "ALSA", 2, 44_100, is_default)


BUILT_IN = device(0, "HDA Intel PCH: ALC257 (hw:0,0)")
HEADSET = device(3, "USB Headset: Audio (hw:1,0)")
PULSE = device(6, "pulse", is_default=True)
MONITOR = device(7, "Monitor of pulse sink")
ALL = [BUILT_IN, HEADSET, MONITOR, PULSE]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, PULSE),
        ("", PULSE),
        (3, HEADSET),
        ("3", HEADSET),
        ("usb", HEADSET),
        ("USB Headset", HEADSET),
        ("hw:0,0", BUILT_IN),
        ("Pulse", PULSE),
        ("puls", MONITOR),
    ],
)
def test_a_device_is_found(wanted: int | str | None, found: InputDevice) -> None:
    assert find_device(ALL, wanted) is found


def test_a_card_that_comes_back_under_another_number_is_the_same() -> None:
    back = device(4, "USB Headset: Audio (hw:3,0)")
    assert find_device([BUILT_IN, back], HEADSET.name) is back
    assert find_device([back, HEADSET], HEADSET.name) is HEADSET, "its own number comes first"
    assert strip_card_number(back.name) == strip_card_number(HEADSET.name) == "USB Headset: Audio"
    assert (
        strip_card_number("Logitech BRCC v1.2: USB (stereo)") == "Logitech BRCC v1.2: USB (stereo)"
    )


def test_without_a_default_the_first_device_is_taken() -> None:
    assert find_device([BUILT_IN, HEADSET], None) is BUILT_IN


@pytest.mark.parametrize("wanted", [1, "1", "Bluetooth"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(wanted: int | str) -> None:
    with pytest.raises(NoMicrophone) as refused:
        find_device([BUILT_IN, PULSE], wanted)
    assert str(refused.value) == (
        f"there is no input device '{wanted}'; choose one by its number or a part of its name: "
        "0 (HDA Intel PCH: ALC257 (hw:0,0)), 6 (pulse)"
    )


@pytest.mark.parametrize("wanted", [None, 0, "usb"])
def test_a_machine_without_input_devices_is_told_what_to_do(wanted: int | str | None) -> None:
    with pytest.raises(NoMicrophone, match="no input device was found; plug in a microphone"):
        find_device([], wanted)


def test_a_machine_without_pyaudio_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    with pytest.raises(NoMicrophone, match=r"pip install 'earshot\[mic\]'.*portaudio19-dev"):
        list_devices()
