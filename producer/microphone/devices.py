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
"""A sound server that has not answered by then hangs."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that can record."""

    index: int
    """PortAudio's number of it; it may change when devices come and go."""
    name: str
    host_api: str
    channels: int
    """The most that it records at once."""
    default_rate: int
    """Hz."""
    is_default: bool


@contextlib.contextmanager
def portaudio() -> Iterator[Any]:
    """A fresh PyAudio object: devices that came since an earlier one was closed are seen.

    Raises `NoMicrophone` when PyAudio or PortAudio is not installed.
    """
    try:
        # without its library PyAudio prints to stdout, which may be a stream of events
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
    """All input devices, in PortAudio's order; empty where there are none.

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

    # a thread that keeps nobody alive: a call into a sound server that hangs never returns
    threading.Thread(target=find, name="devices", daemon=True).start()
    return answer(found)


def answer(asked: Future[Answer]) -> Answer:
    """What another thread has learnt of the sound system; raises `NoMicrophone` when it hangs."""
    try:
        return asked.result(ANSWER_S)
    except TimeoutError:
        raise NoMicrophone(
            f"the sound system has not answered for {ANSWER_S:.0f} s: restart it, then try again"
        ) from None


def input_devices(audio: Any) -> list[InputDevice]:
    """The same from an open PyAudio object."""
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


def find_device(devices: Sequence[InputDevice], wanted: int | str | None) -> InputDevice:
    """The device of that index, of that name, or with that in its name (case does not matter;
    the first of several); the default one, or else the first, for None or an empty string.

    A name with ALSA's number of the card finds the card under another number too: a replugged one
    may get another. A string of digits is an index. Raises `NoMicrophone` with the devices that
    there are.
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
        lasting = strip_card_number(name)
        matching += [each for each in devices if strip_card_number(each.name).casefold() == lasting]
    if not matching:
        there = ", ".join(f"{device.index} ({device.name})" for device in devices)
        raise NoMicrophone(
            f"there is no input device {str(wanted)!r}; choose one by its number or a part of its "
            f"name: {there}"
        )
    return matching[0]


def strip_card_number(name: str) -> str:
    """A device's name without ALSA's number of its card, ` (hw:1,0)`, which changes when cards come
    in another order."""
    return re.sub(r" \(hw:\d+,\d+\)$", "", name)


def _text(name: str | bytes) -> str:
    # PyAudio leaves names as bytes that are not in the encoding it expects
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
