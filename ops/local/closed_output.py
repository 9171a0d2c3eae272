"""Whether anybody still reads our output: a pipe's reader may leave, a terminal may close."""

import select


def is_closed(descriptor: int) -> bool:
    """Tell whether the reader of a pipe, or a terminal, is gone."""
    watch = select.poll()
    watch.register(descriptor, 0)  # poll reports it without being asked
    return bool(watch.poll(0))
