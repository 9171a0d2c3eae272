"""The process that decodes one recording, seen from the process that wants its samples.

A decoder reads what strangers made, in libraries that are not ours. So it may crash, use up its
memory, or never end. Then it is gone, and what is left of it is one sentence.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from common.audio import LONGEST_RECORDING_S, SAMPLE_RATE
from common.closeable import Closeable
from common.errors import BadInput, Transient
from common.settings.loading import environment_without_settings
from producer.decoding import messages
from producer.decoding.limits import PATIENCE_S

_MODULE: Final = "producer.decoding.decoder"

_SENTENCE_LONGEST: Final = 2_000
"""Characters of a refusal: the name of a file, and what the libraries say about it."""

_GRACE_S: Final = 5.0
"""A process that was killed ends at once, unless it hangs in a file system."""


class DecoderProcess(Closeable):
    """The decoder of one open file. `name` is for sentences. `channel` counts from 1; 0 mixes all.
    `is_patient`: the file is a pipe, and may come at any speed.

    Starting it raises `Transient` if the host has no room for a process. `read_header` comes first,
    then `blocks`. They raise `BadInput` where the recording, or its decoder, gives no more. Any
    thread may call `kill`.
    """

    def __init__(
        self, name: str, file: BinaryIO, *, channel: int = 0, is_patient: bool = False
    ) -> None:
        self._name = name
        self._is_patient = is_patient
        self._samples = 0
        self._waited_s = 0.0
        self._killed = threading.Event()
        self.duration_s = 0.0
        """Length in seconds by the header; 0 if the header lacks it."""
        self.channels = 1
        """How many channels the recording begins with, if one of them is wanted."""
        try:
            self._process = subprocess.Popen(
                # with -P, Python ignores folders named `producer` in the working directory
                [sys.executable, "-P", "-m", _MODULE, name, *([str(channel)] if channel else [])],
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # the libraries grumble there about damaged files
                env=_environment(),
                start_new_session=True,  # the terminal's Ctrl+C is for us
            )
        except OSError as error:
            raise Transient(
                f"{name} cannot be decoded now: no process can be started ({error.strerror})",
                opens_breaker=False,
            ) from None
        assert self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def read_header(self) -> None:
        """Wait until the first audio is decoded."""
        kind, payload = self._read_message()
        if kind == messages.CHANNELS and len(payload) == messages.COUNT.size:
            (self.channels,) = messages.COUNT.unpack(payload)
            kind, payload = self._read_message()
        if kind == messages.DURATION and len(payload) == messages.FLOAT.size:
            (seconds,) = messages.FLOAT.unpack(payload)
            self.duration_s = seconds if 0 < seconds <= LONGEST_RECORDING_S else 0.0
        elif not self._killed.is_set():
            raise self._give_up("its decoder answers nonsense")

    def blocks(self) -> Iterator[NDArray[np.int16]]:
        """Yield all samples, 16 kHz mono. After `kill` it just ends."""
        while True:
            kind, payload = self._read_message()
            if kind == messages.END or self._killed.is_set():
                return
            if kind != messages.AUDIO or len(payload) % 2:
                raise self._give_up("its decoder answers nonsense")
            block = np.frombuffer(payload, np.int16)
            self._samples += len(block)
            yield block

    def kill(self) -> None:
        """End the process, and what waits for it."""
        self._killed.set()
        self._process.kill()

    def close(self) -> None:
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read_message(self) -> tuple[bytes, bytes]:
        """Return the kind and the bytes of the next message; END after `kill`."""
        if self._killed.is_set():  # perhaps it is closed as well
            return messages.END, b""
        head = self._read(messages.HEADER.size)
        if self._killed.is_set():
            return messages.END, b""
        if len(head) < messages.HEADER.size:
            raise self._give_up(self._explain_end())
        kind, length = messages.HEADER.unpack(head)
        if length > messages.LONGEST:
            raise self._give_up("its decoder answers nonsense")
        payload = self._read(length)
        if self._killed.is_set():
            return messages.END, b""
        if len(payload) < length:
            raise self._give_up(self._explain_end())
        if kind == messages.REFUSAL:
            raise BadInput(_clean(payload))
        return kind, payload

    def _read(self, size: int) -> bytes:
        """Return so many bytes; fewer if the process ends before."""
        data = b""
        while len(data) < size:
            self._wait()
            piece = os.read(self._pipe, size - len(data))
            if not piece:
                break
            data += piece
        return data

    def _wait(self) -> None:
        """Wait for bytes, as long as decoding has not become slower than speech."""
        left_s = PATIENCE_S + self._samples / SAMPLE_RATE - self._waited_s
        began = time.monotonic()
        is_ready = self._poll.poll(None if self._is_patient else max(0.0, 1_000 * left_s))
        self._waited_s += time.monotonic() - began
        if not is_ready:
            raise self._give_up("decoding it takes too long")

    def _explain_end(self) -> str:
        try:
            status = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            return "its decoder has closed its output"
        if status == -signal.SIGXCPU:
            return "decoding it takes too long"
        if status == -signal.SIGKILL:
            return "its decoder was killed, perhaps because the host is out of memory"
        if status >= 0:
            return f"its decoder ended with the status {status}"
        with suppress(ValueError):
            return f"it made its decoder crash with {signal.Signals(-status).name}"
        return f"it made its decoder crash with signal {-status}"

    def _give_up(self, why: str) -> BadInput:
        self._process.kill()
        if not self._samples:
            return BadInput(f"{self._name} cannot be decoded: {why}")
        return BadInput(
            f"{self._name} cannot be decoded after {self._samples / SAMPLE_RATE:.1f} s: {why}; "
            "what came before was used"
        )


def _environment() -> dict[str, str]:
    """Return the environment of a decoder: it needs no password, and no threads for matrices."""
    return environment_without_settings() | {"OPENBLAS_NUM_THREADS": "1"}


def _clean(payload: bytes) -> str:
    """Return a sentence of the decoder as one line."""
    text = payload.decode("utf-8", "replace")[:_SENTENCE_LONGEST]
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
