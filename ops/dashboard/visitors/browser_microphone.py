"""A visitor's microphone as a source of the blocks of samples that a page sends.

`begin` in `visitor_producers.py` listens to it.
"""

import queue
import threading
from collections.abc import Iterator
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from producer.sources.source import DEFAULT_FRAME_MS, FramedSource

WAITING_S: Final = 60
"""How much audio may wait for the detector. If more waits, the machine is too slow."""

POLL_S: Final = 0.5
"""How soon `close` is noticed while nothing comes."""

log = structlog.get_logger(__name__)


class BrowserMicrophone(FramedSource):
    """A Source that gets its blocks by `push`: s16le at 16 kHz mono, of any length."""

    is_live = True
    name = "browser"

    def __init__(self, frame_ms: int = DEFAULT_FRAME_MS) -> None:
        super().__init__(frame_ms)
        self._blocks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._is_full = False
        self._closed = threading.Event()

    def push(self, block: bytes) -> None:
        """Take a block; drop half a sample at its end, and the block itself if too much waits."""
        block = block[: len(block) & ~1]
        with self._lock:
            full = self._waiting + len(block) > 2 * SAMPLE_RATE * WAITING_S
            if not full:
                self._waiting += len(block)
        if full and not self._is_full:
            log.warning("audio_left_out", why="this machine hears slower than the page sends")
        self._is_full = full
        if block and not full:
            self._blocks.put(block)

    def finish(self) -> None:
        """Note that nothing more will come: iterating ends when all audio was heard."""
        self._blocks.put(None)

    def close(self) -> None:
        self._closed.set()

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        while not self._closed.is_set():
            try:
                block = self._blocks.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if block is None:
                break
            with self._lock:
                self._waiting -= len(block)
            yield from self._framer.push(np.frombuffer(block, "<i2").astype(np.int16))
        yield from self._framer.finish()
