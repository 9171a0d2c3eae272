"""A decoder that a recording has made do something else; the recording's name says what."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

from producer.decoding import decoder
from producer.decoding.limits import CpuLimit, limit_process
from producer.decoding.messages import AUDIO, END, HEADER, MessageWriter

SECOND: Final = np.zeros(16_000, np.int16)


def begin() -> MessageWriter:
    """As a real one: under its limits, and with a second of audio."""
    limit_process()
    CpuLimit()
    writer = MessageWriter(1)
    writer.write_duration(3.0)
    writer.write_audio(SECOND)
    return writer


def ask_for_8_gb(*_: object, **__: object) -> None:
    np.ones(2**30)


def look_beyond_the_end(*_: object, **__: object) -> None:
    SECOND.tolist()[16_000]


def misbehave(what: str) -> None:
    match what:
        case "dies-at-once":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "leaves-at-once":
            sys.exit(3)
        case "dies":
            begin()
            os.kill(os.getpid(), signal.SIGSEGV)
        case "aborts":
            begin()
            os.abort()
        case "is-killed":
            begin()
            os.kill(os.getpid(), signal.SIGKILL)
        case "leaves":
            begin()
        case "leaves-in-a-message":
            begin()
            os.write(1, HEADER.pack(AUDIO, 1_000) + bytes(10))
        case "hangs":
            begin()
            time.sleep(3_600)
        case "hangs-at-once":
            time.sleep(3_600)
        case "works-for-ever":
            begin()
            while True:
                pass
        case "takes-all-memory":
            begin()
            taken = [np.ones(2**20) for _ in range(1_000)]  # 8 GB
            print(len(taken))
        case "writes-files":
            begin()
            Path("written").write_bytes(b"x")
        case "needs-too-much":
            decoder.decode = ask_for_8_gb
            decoder.main()
        case "surprises":
            decoder.decode = look_beyond_the_end
            decoder.main()
        case "talks-nonsense":
            begin()
            os.write(1, b"\xff" * 65_536)
        case "says-half-a-sample":
            begin()
            os.write(1, HEADER.pack(AUDIO, 3) + b"abc" + HEADER.pack(END, 0))
        case "says-too-much":
            begin()
            os.write(1, HEADER.pack(AUDIO, 2**32 - 1))
        case "begins-with-audio":
            MessageWriter(1).write_audio(SECOND)
        case "colours-its-refusal":
            MessageWriter(1).write_refusal("it is\x1b[31m red\nand long" + 100_000 * "!")
        case "has-no-end-of-length":
            writer = MessageWriter(1)
            writer.write_duration(float("nan"))
            writer.write_audio(SECOND)
            writer.write_end()
        case _:
            decoder.main()


if __name__ == "__main__":
    misbehave(Path(sys.argv[1]).stem)
