"""The input devices of this machine, as PortAudio lists them."""

import contextlib
import io
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from common.errors import NoMicrophone
from producer.microphone.library_messages import silence_sound_libraries

ANSWER_S: Final = 30.0
"""A sound server that takes longer to answer hangs."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that can record."""

    index: int
    """PortAudio's number; it may change when devices come and go."""
    name: str
    host_api: str
    channels: int
    """The most channels that it records at once."""
    default_rate: int
    """Hz."""
    is_default: bool


@contextlib.contextmanager
def portaudio() -> Iterator[Any]:
    """Open a fresh PyAudio object, which sees devices that came since an earlier one was closed.

    Raises `NoMicrophone` when PyAudio or PortAudio is not installed.
    """
    try:
        # without PortAudio, PyAudio prints to stdout, which may be a stream of events
        with contextlib.redirect_stdout(io.StringIO()):
            import pyaudio
    except ImportError as error:
        raise NoMicrophone(
            f"the microphone needs PyAudio ({error}); run `pip install 'earshot[mic]'`, on Debian "
            "and Ubuntu after `apt-get install libportaudio2 portaudio19-dev`"
        ) from error
    silence_sound_libraries()
    try:
        audio = pyaudio.PyAudio()
    except OSError as error:
        raise NoMicrophone(
            f"PortAudio does not start ({error}); check the sound system of this machine"
        ) from error
    try:
        yield audio
    finally:
        audio.terminate()


def list_devices() -> list[InputDevice]:
    """Return all input devices in PortAudio's order; empty if there are none.

    Raises `NoMicrophone` when PyAudio or PortAudio is not installed, or the sound system hangs.
    """
    found: Future[list[InputDevice]] = Future()

    def find() -> None:
        try:
            with portaudio() as audio:
                found.set_result(input_devices(audio))
        except Exception as error:
            if not found.done():
                found.set_exception(error)

    # a daemon thread: a call into a sound server that hangs never returns
    threading.Thread(target=find, name="devices", daemon=True).start()
    return await_answer(found)


def await_answer(future: Future[Answer]) -> Answer:
    """Wait for another thread's answer of the sound system; raises `NoMicrophone` if it hangs."""
    try:
        return future.result(ANSWER_S)
    except TimeoutError:
        raise NoMicrophone(
            f"the sound system has not answered for {ANSWER_S:.0f} s: restart it, then try again"
        ) from None


def input_devices(audio: Any) -> list[InputDevice]:
    """Return all input devices of an open PyAudio object."""
    try:
        default = audio.get_default_input_device_info()["index"]
    except OSError:
        default = None
    every = [audio.get_device_info_by_index(index) for index in range(audio.get_device_count())]
    return [
        InputDevice(
            index=info["index"],
            name=_text(info["name"]),
            host_api=_text(audio.get_host_api_info_by_index(info["hostApi"])["name"]),
            channels=info["maxInputChannels"],
            default_rate=round(info["defaultSampleRate"]),
            is_default=info["index"] == default,
        )
        for info in every
        if info["maxInputChannels"] > 0
    ]


def check_channel(device: InputDevice, channel: int) -> None:
    """Raise `NoMicrophone` if a device lacks a channel, counted from 1."""
    if channel > device.channels:
        raise NoMicrophone(
            f"{device.name} has no channel {channel}: it has {device.channels}; choose another"
            " --channel, or another --device"
        )


def find_device(devices: Sequence[InputDevice], wanted: int | str | None) -> InputDevice:
    """Return the first device with that index, that name, or that text in its name.

    Upper and lower case are the same. None or an empty string means the default device, or else
    the first. A string of digits is an index. A name with ALSA's card number also finds the card
    under another number, which it may get when it is plugged in again. Raises `NoMicrophone` with
    a list of the devices.
    """
    if not devices:
        raise NoMicrophone(
            "no input device was found; plug in a microphone, or give a recording by --input"
        )
    if wanted is None or wanted == "":
        return next((device for device in devices if device.is_default), devices[0])
    if isinstance(wanted, int) or wanted.isdecimal():
        matching = [device for device in devices if device.index == int(wanted)]
    else:
        name = wanted.casefold()
        matching = [device for device in devices if device.name.casefold() == name]
        matching += [device for device in devices if name in device.name.casefold()]
        without_card = strip_card_number(name)
        matching += [
            each for each in devices if strip_card_number(each.name).casefold() == without_card
        ]
    if not matching:
        there = ", ".join(f"{device.index} ({device.name})" for device in devices)
        raise NoMicrophone(
            f"there is no input device {str(wanted)!r}; choose one by its number or a part of its "
            f"name: {there}"
        )
    return matching[0]


def strip_card_number(name: str) -> str:
    """Return a device's name without ALSA's card number, ` (hw:1,0)`.

    The number changes when cards come in another order.
    """
    return re.sub(r" \(hw:\d+,\d+\)$", "", name)


def _text(name: str | bytes) -> str:
    # PyAudio leaves names as bytes that are not in the encoding it expects
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
