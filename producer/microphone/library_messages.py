"""The messages of the sound libraries, kept off stderr.

When devices are listed, ALSA and JACK print dozens of lines. When a device fails, PortAudio prints
the line of its own source that noticed it. earshot reports such failures in its own words.

ALSA and JACK have hooks for their messages. PortAudio has none: it prints to the C library's
`stderr`. Here that becomes a pipe that a thread reads. File descriptor 2 stays as it is: otherwise
log lines of other threads would be lost, and the last messages of a process that crashes. Only the
messages of Python's own fatal errors may be lost, because they use C's `stderr`, too.
"""

import ctypes
import functools
import os
import platform
import sys
import threading
from contextlib import suppress
from typing import Final

_HOOKS: Final = (
    ("libasound.so.2", "snd_lib_error_set_handler"),
    ("libjack.so.0", "jack_set_error_function"),
    ("libjack.so.0", "jack_set_info_function"),
)

_PORTAUDIO: Final = b"Expression '"
"""Its messages begin like this: Expression 'alsa_snd_pcm_start( self->pcm )' failed in 'src/...'"""

_STDERR: Final = 2
_LINE_BUFFERED: Final = 1
"""_IOLBF of glibc's <stdio.h>."""


@functools.cache
def silence_sound_libraries() -> None:
    """Silence the sound libraries for the rest of the process.

    The message functions of ALSA and JACK, where they are installed, are replaced by one that does
    nothing. PortAudio's messages are filtered out of C's `stderr`.
    """
    if not sys.platform.startswith("linux"):
        return
    # A C function without parameters may replace a callback with any: the caller cleans up.
    # A Python callback would run in the libraries' threads, even after the interpreter's end.
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
    # only in glibc is `stderr` a variable that may be set
    if platform.libc_ver()[0] != "glibc":
        return
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)  # a thread that records must never wait
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    libc.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t]
    stream = libc.fdopen(theirs, b"w")
    libc.setvbuf(stream, None, _LINE_BUFFERED, 0)
    threading.Thread(target=_pass_on, args=(ours,), name="c-stderr", daemon=True).start()
    ctypes.c_void_p.in_dll(libc, "stderr").value = stream


def _pass_on(pipe: int) -> None:
    with open(pipe, "rb") as lines:
        for line in lines:
            if not line.startswith(_PORTAUDIO):
                with suppress(OSError):  # nobody reads it any more
                    os.write(_STDERR, line)
