"""Output to a terminal that no text from elsewhere can turn round.

What a model, a client or a file says may hold characters that change the direction of text. They
reach files and pipes as they are; on a terminal they are written out.
"""

import io
import sys

from ops.cli.terminal.direction import show_direction_changes


class HarmlessTerminal(io.TextIOWrapper):
    """A stream to a terminal that writes direction-changing characters out."""

    def write(self, text: str, /) -> int:
        """Write a text; return the length of what was written."""
        return super().write(show_direction_changes(text))


def make_terminals_harmless() -> None:
    """Put such streams in the place of stdout and stderr, where these are terminals."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream.isatty():
            harmless = HarmlessTerminal(
                stream.buffer,
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, harmless)
