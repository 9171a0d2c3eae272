"""Keeps the sound libraries off stderr: probing makes ALSA and JACK print dozens of lines, and a
device that dies makes PortAudio print where in its sources that was noticed.

ALSA and JACK have hooks for it. PortAudio has none: it prints by the C library's `stderr`, which
for us is a pipe that a thread reads. File descriptor 2 stays as it is: pointing it elsewhere would
lose log lines of other threads, and the last words of a process that crashes; those of Python's own
fatal errors alone, which go by C's `stderr` too, may be lost. What is wrong reaches people through
earshot's own sentences.
"""

import ctypes
import functools
import os
import platform
import sys
import threading
from contextlib import suppress
from typing import Final

_HOOKS = (
    ("libasound.so.2", "snd_lib_error_set_handler"),
    ("libjack.so.0", "jack_set_error_function"),
    ("libjack.so.0", "jack_set_info_function"),
)

_PORTAUDIO: Final = b"Expression '"
"""Expression 'alsa_snd_pcm_start( self->pcm )' failed in 'src/hostapi/...', line: ..."""

_STDERR: Final = 2
_LINE_BUFFERED: Final = 1
"""_IOLBF of glibc's <stdio.h>."""


@functools.cache
def silence_sound_libraries() -> None:
    """For the rest of the process: replaces the message functions of ALSA and JACK, where they are
    installed, by one that does nothing, and leaves out what PortAudio prints of its failures."""
    if not sys.platform.startswith("linux"):
        return
    # A C function without parameters may stand in for a callback with any: the caller cleans up.
    # A Python callback would run in the sound libraries' threads, past the interpreter's end too.
    nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
    for library, hook in _HOOKS:
        try:
            set_hook = getattr(ctypes.CDLL(library), hook)
        except (OSError, AttributeError):
            continue
        set_hook.argtypes = [ctypes.c_void_p]
        set_hook(nothing)
    _filter_c_stderr()


def _filter_c_stderr() -> None:
    # elsewhere than in glibc `stderr` is no variable that may be set
    if platform.libc_ver()[0] != "glibc":
        return
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)  # a thread that records waits for nobody
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    libc.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t]
    stream = libc.fdopen(theirs, b"w")
    libc.setvbuf(stream, None, _LINE_BUFFERED, 0)
    threading.Thread(target=_pass_on, args=(ours,), name="chatter", daemon=True).start()
    ctypes.c_void_p.in_dll(libc, "stderr").value = stream


def _pass_on(pipe: int) -> None:
    with open(pipe, "rb") as lines:
        for line in lines:
            if not line.startswith(_PORTAUDIO):
                with suppress(OSError):  # nobody reads it any more
                    os.write(_STDERR, line)
