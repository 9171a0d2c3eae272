"""Recording from one input device: opening it, watching it, and opening it again when it fails.

PortAudio's own thread puts blocks into a bounded queue and never waits. A thread of ours owns the
device. A slow reader loses the oldest audio, which is counted, and never stops the recording.
"""

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import structlog

from common.audio import SAMPLE_RATE
from common.backoff import Backoff
from common.errors import NoMicrophone
from common.latch import Latch
from producer.microphone.devices import (
    InputDevice,
    await_answer,
    check_channel,
    find_device,
    input_devices,
    portaudio,
)
from producer.sources.mute import Mute
from producer.telemetry.metrics import AUDIO_LOST, MICROPHONE_RECONNECTS

log = structlog.get_logger(__name__)

_BLOCK_S: Final = 0.03
"""Audio per block: as much as a frame, so that no frame waits for its block."""

_ROUNDING: Final = 1e-3
"""Frames: less than that is an error of floating point, and no further frame."""

_QUEUE_S: Final = 30.0
"""Audio that may wait for a stalled reader: 1 MB at 16 kHz mono."""

_WATCH_S: Final = 0.25
"""How often the device is checked."""

_STALL_S: Final = 5.0
"""An open device that delivers nothing for this long has failed. Some sound servers take 2 s to the
first block, and a frozen one keeps its stream `active` for ever."""

_CALM_S: Final = 10.0
"""After this time without a further loss, the loss of audio counts as over."""

_FIRST_BACKOFF_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 8.0
"""Pauses between two tries to open a failed device: each is twice the one before, up to this."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a stream records. Each opening of the device makes an object of its own."""

    rate: int
    """Hz."""
    channels: int


@dataclass(frozen=True, slots=True)
class Block:
    """Interleaved int16 samples in the machine's byte order."""

    data: bytes
    format: Format
    muted: tuple[tuple[int, int], ...] = ()
    """From which frame to before which frame it is silenced."""
    until: float = field(default=0.0, compare=False)
    """When its end was recorded (monotonic, s)."""


@dataclass(frozen=True, slots=True)
class Overflows:
    """Audio lost since the start, in blocks."""

    device: int = 0
    """How often the device's own buffer overflowed."""
    queue: int = 0
    """Blocks that were dropped after they had waited for 30 s."""


class Capture:
    """The recording from the device that `wanted` describes (see `find_device`) until `stop()`.

    It has all channels up to `channel`, which counts from 1; 0 asks for no certain one.
    """

    def __init__(
        self,
        wanted: int | str | None,
        mute: Mute | None = None,
        *,
        channel: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted = wanted
        self._channel = channel
        self._mute = mute or Mute()
        self._clock = clock
        self._blocks: deque[Block] = deque(maxlen=round(_QUEUE_S / _BLOCK_S))
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._opened: Future[InputDevice] = Future()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._last_block = 0.0
        self._latency_s = 0.0
        self._live: Format | None = None
        self._pauses = Backoff(_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S, spread=None)
        self._is_lost = Latch(False)
        self._device_overflows = 0
        self._queue_overflows = 0
        self._watched = Overflows()
        self._last_loss: float | None = None
        self.is_away = False

    @property
    def overflows(self) -> Overflows:
        return Overflows(self._device_overflows, self._queue_overflows)

    def start(self) -> InputDevice:
        """Open the device; raises `NoMicrophone` when that fails. Later failures are waited out.

        Call it once.
        """
        self._thread.start()
        try:
            return await_answer(self._opened)
        except NoMicrophone:
            self._stopping.set()
            raise
        except CancelledError:
            raise NoMicrophone("it was closed before the sound system had answered") from None

    def stop(self) -> None:
        """End the recording, from any thread; earlier blocks can still be taken."""
        self._stopping.set()
        self._opened.cancel()  # ends the wait in `start`
        with self._changed:
            self._changed.notify_all()

    def join(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` for the device to be closed.

        A frozen sound server never closes it; our thread does not keep the process alive.
        """
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def take(self, timeout_s: float) -> Block | None:
        """Return the oldest block; wait for it at most `timeout_s`, then return None."""
        with self._changed:
            if not self._blocks and not self._stopping.is_set():
                self._changed.wait(timeout_s)
            block = self._blocks.popleft() if self._blocks else None
        # once more: it may be known only now that the mute was on
        return None if block is None else self._silence(block)

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            try:
                with portaudio() as audio, self._stream(audio) as (stream, device):
                    self._report_opened(device)
                    self._watch(stream, device)
            except Exception as error:
                if self._stopping.is_set():
                    return
                if not self._opened.done():
                    self._opened.set_exception(error)
                    return
                self._report_lost(str(error))
                log.debug(
                    "microphone_still_away", reason=str(error), again_in_s=self._pauses.pause_s
                )
            pause_s = self._pauses.next_pause()

    @contextlib.contextmanager
    def _stream(self, audio: Any) -> Iterator[tuple[Any, InputDevice]]:
        device = find_device(input_devices(audio), self._wanted)
        format_ = _accepted_format(audio, device, self._channel)
        import pyaudio

        def receive(data: bytes, _count: int, _time: object, status: int) -> tuple[None, int]:
            self._receive(Block(data, format_), bool(status & pyaudio.paInputOverflow))
            return None, pyaudio.paContinue

        self._last_block = self._clock()
        self._live = format_
        try:
            stream = audio.open(
                rate=format_.rate,
                channels=format_.channels,
                format=pyaudio.paInt16,
                input=True,
                input_device_index=device.index,
                frames_per_buffer=round(format_.rate * _BLOCK_S),
                stream_callback=receive,
            )
        except OSError as error:
            raise NoMicrophone(
                f"the input device {device.name!r} cannot be opened ({error}): close the program "
                "that holds it, or choose another device"
            ) from error
        self._latency_s = stream.get_input_latency()
        try:
            yield stream, device
        finally:
            stream.close()

    def _receive(self, block: Block, is_overflown: bool) -> None:
        self._last_block = self._clock()
        block = self._silence(replace(block, until=self._last_block - self._latency_s))
        if block.format is self._live:
            self.is_away = False
        with self._changed:
            self._device_overflows += is_overflown
            self._queue_overflows += len(self._blocks) == self._blocks.maxlen
            self._blocks.append(block)
            self._changed.notify()

    def _silence(self, block: Block) -> Block:
        """Return a block with zeros where the mute was on when it was recorded."""
        begin = block.until - _BLOCK_S
        spans = self._mute.muted_spans(begin, block.until)
        if not spans:
            return block
        frame_bytes = 2 * block.format.channels
        frames = len(block.data) // frame_bytes
        per_s = frames / _BLOCK_S
        muted = tuple(
            (
                math.floor((since - begin) * per_s + _ROUNDING),
                min(frames, math.ceil((to - begin) * per_s - _ROUNDING)),
            )
            for since, to in spans
        )
        data = np.frombuffer(block.data, np.int16).reshape(-1, block.format.channels).copy()
        for first, end in muted:
            data[first:end] = 0
        return replace(block, data=data.tobytes(), muted=muted)

    def _report_opened(self, device: InputDevice) -> None:
        if self._opened.done():
            return
        # after a device was unplugged its number may mean another one; its name does not
        if isinstance(self._wanted, int) or (self._wanted and self._wanted.isdecimal()):
            self._wanted = device.name
        self._opened.set_result(device)

    def _report_lost(self, reason: str) -> None:
        self._live = None  # blocks of the failed stream do not count as recovery
        self.is_away = True
        if self._is_lost.change_to(True):
            log.warning("microphone_lost", reason=reason)

    def _watch(self, stream: Any, device: InputDevice) -> None:
        """Watch the stream until it was stopped or has failed."""
        while not self._stopping.wait(_WATCH_S):
            if not stream.is_active():
                self._report_lost(f"{device.name} stopped")
                return
            if self._clock() - self._last_block > _STALL_S:
                self._report_lost(f"{device.name} delivered nothing for {_STALL_S:.0f} s")
                return
            if not self.is_away:
                self._report_alive(device)
            self._watch_losses()

    def _report_alive(self, device: InputDevice) -> None:
        # not at its opening: a device that opens and delivers nothing is not back
        self._pauses.reset()
        if self._is_lost.change_to(False):
            MICROPHONE_RECONNECTS.inc()
            log.info("microphone_back", device=device.name)

    def _watch_losses(self) -> None:
        overflows = self.overflows
        if overflows != self._watched:
            if self._last_loss is None:
                log.warning("losing_audio", device=overflows.device, queue=overflows.queue)
            AUDIO_LOST.labels("device").inc(overflows.device - self._watched.device)
            AUDIO_LOST.labels("queue").inc(overflows.queue - self._watched.queue)
            self._last_loss = self._clock()
            self._watched = overflows
        elif self._last_loss is not None and self._clock() - self._last_loss > _CALM_S:
            self._last_loss = None
            log.info("no_longer_losing_audio", device=overflows.device, queue=overflows.queue)


def _accepted_format(audio: Any, device: InputDevice, channel: int = 0) -> Format:
    """Return 16 kHz mono, or up to `channel`, if the device takes it, otherwise its own format."""
    check_channel(device, channel)
    import pyaudio

    rate, least = device.default_rate, max(channel, 1)
    pair = max(channel, min(2, device.channels))
    for wish in (Format(SAMPLE_RATE, least), Format(rate, least), Format(rate, pair)):
        with contextlib.suppress(ValueError):
            if audio.is_format_supported(
                wish.rate,
                input_device=device.index,
                input_channels=wish.channels,
                input_format=pyaudio.paInt16,
            ):
                return wish
    return Format(device.default_rate, device.channels)
