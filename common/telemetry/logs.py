"""structlog, set up once per process: for people on a terminal, JSON everywhere else."""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

import structlog

from common.settings import LogSettings

# A traceback with the values of its variables would log audio and what was said.
_WITHOUT_VALUES: Final = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


class _Lasting:
    """stderr until nobody can read it any more: no process may fail for want of a log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._outlived():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._outlived():
            self._stream.flush()

    @contextmanager
    def _outlived(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # a pipe without a reader, a terminal that was closed; a full disk may have room again
            if error.errno in (errno.EPIPE, errno.EIO):
                redirect_to_null(self._stream.fileno())


def redirect_to_null(descriptor: int) -> None:
    """What is written to it from now on, by whomever, goes nowhere and is no error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def set_up(settings: LogSettings, **bound: Any) -> None:
    """Log to stderr, as long as there is one; `bound` values (role, worker) stand on every line.

    Libraries that use the standard library's logging are heard from `warning` on, in the same form.
    """
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    noting: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json),
    ]
    rendering: list[structlog.types.Processor]
    if as_json:
        rendering = [
            structlog.processors.ExceptionRenderer(_WITHOUT_VALUES),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        rendering = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    lasting = _Lasting(sys.stderr)
    structlog.configure(
        processors=noting + rendering,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, lasting)),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**bound)
    foreign = logging.StreamHandler(lasting)
    foreign.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*noting, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[foreign], force=True)
