"""A microphone without a sound card: what is played into it is what PortAudio records.

A private PulseAudio daemon has a null sink whose monitor is the only, and so the default, source;
PortAudio reaches it by ALSA's `pulse` plugin. Needs Debian's pulseaudio, pulseaudio-utils,
libasound2-plugins and libportaudio2; works as root and beside a running sound server.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from common.closeable import Closeable

_START_S: Final = 60.0
_SINK: Final = "speaker"

_ALSA: Final = """\
pcm.pulse { type pulse }
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


class VirtualMicrophone(Closeable):
    """A sound server of its own; `env` are the variables by which programs find it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="earshot-mic-"))
        self._socket = self._folder / "native"
        self._log = self._folder / "pulseaudio.log"
        self._daemon: subprocess.Popen[bytes] | None = None
        alsa = self._folder / "asound.conf"
        alsa.write_text(_ALSA)
        self.env = {
            "ALSA_CONFIG_PATH": str(alsa),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_COOKIE": str(self._folder / "cookie"),
            "XDG_RUNTIME_DIR": str(self._folder),
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def close(self) -> None:
        self._remove()

    def start(self) -> None:
        """Starts the daemon (again) and waits until it can be recorded from."""
        self._socket.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._daemon = subprocess.Popen(
                [
                    "pulseaudio",
                    "-n",
                    "--daemonize=no",
                    "--use-pid-file=no",
                    "--exit-idle-time=-1",
                    "--realtime=no",
                    "--high-priority=no",
                    f"--load=module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
                    f"--load=module-null-sink sink_name={_SINK} rate=48000 channels=2",
                ],
                env={**os.environ, **self.env, "HOME": str(self._folder)},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_S
        while not self._is_ready():
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PulseAudio did not start:\n{self._log.read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Ends the daemon as a crash would; `start` brings it back."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()

    def freeze(self) -> None:
        """Stops the daemon without ending it: its clients wait for an answer."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def play(self, path: Path) -> None:
        """Plays a recording to its end."""
        subprocess.run(
            ["paplay", f"--device={_SINK}", str(path)],
            env={**os.environ, **self.env},
            check=True,
            timeout=120,
        )

    def play_samples(self, samples: NDArray[np.int16], rate: int = 16_000) -> None:
        """Plays mono samples to their end."""
        path = self._folder / "playing.wav"
        soundfile.write(path, samples, rate)
        self.play(path)

    def _is_ready(self) -> bool:
        listing = subprocess.run(
            ["pactl", "list", "short", "sources"],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=_START_S,
            check=False,
        )
        return f"{_SINK}.monitor" in listing.stdout

    def _signal(self, number: int) -> None:
        if self._daemon is not None:
            self._daemon.send_signal(number)

    def _remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
