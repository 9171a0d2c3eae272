"""Keeps the sound libraries off stderr: probing makes ALSA and JACK print dozens of lines.

Their own hooks are used: pointing file descriptor 2 elsewhere would lose log lines of other
threads meanwhile. What is wrong reaches people through earshot's own sentences.
"""

import ctypes
import functools
import sys

_HOOKS = (
    ("libasound.so.2", "snd_lib_error_set_handler"),
    ("libjack.so.0", "jack_set_error_function"),
    ("libjack.so.0", "jack_set_info_function"),
)


@functools.cache
def silence_sound_libraries() -> None:
    """Replaces the message functions of ALSA and JACK, where they are installed, by one that does
    nothing, for the rest of the process."""
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
