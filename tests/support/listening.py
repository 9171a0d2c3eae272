"""What `earshot listen` needs in tests: settings, speech that it hears, and silence."""

import os
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from common.settings import PREFIX
from tests.support.redis_server import RedisServer
from tests.support.speechlike import RATE, speechlike

PAUSE_S: Final = 1.5
"""Longer than the silence that ends an utterance."""

SPEECH: Final = np.concatenate((speechlike(1.5), np.zeros(round(PAUSE_S * RATE), np.int16)))
"""One utterance and the silence after it: 16 kHz mono, int16."""


def listen_environment(redis: RedisServer, folder: Path) -> dict[str, str]:
    """The variables of a listener in a terminal; its outbox is below `folder`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return inherited | {
        "EARSHOT_REDIS__URL": redis.url,
        "EARSHOT_LISTEN__OUTBOX": str(folder / "outbox"),
        "EARSHOT_LISTEN__VAD": "webrtc",  # it hears speech in what is made by rule
        "TERM": "xterm-256color",
        "COLUMNS": "120",
    }


def write_silence(path: Path, seconds: float = 60.0) -> Path:
    """Write a recording of silence; return its path."""
    soundfile.write(path, np.zeros(round(seconds * RATE), np.int16), RATE)
    return path
