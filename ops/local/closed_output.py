"""Whether anybody still reads our output: a pipe's reader may end, a terminal may be closed."""

import select


def is_closed(descriptor: int) -> bool:
    """Tell whether the reader of a pipe, or a terminal, is gone."""
    watch = select.poll()
    watch.register(descriptor, 0)  # poll reports a lost reader even when no event is asked for
    return bool(watch.poll(0))
