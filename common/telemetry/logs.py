"""structlog, set up once per process: for people on a terminal, JSON everywhere else."""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

import structlog

from common.errors import to_printable
from common.settings import LogSettings

_WITHOUT_VALUES: Final = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
"""A traceback with the values of its variables would log audio and what was said."""


class _UnfailingStream:
    """stderr for as long as somebody reads it: no process may fail because its log is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._ignore_closed():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._ignore_closed():
            self._stream.flush()

    @contextmanager
    def _ignore_closed(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # a pipe without a reader or a closed terminal; a full disk may have room again
            if error.errno in (errno.EPIPE, errno.EIO):
                redirect_to_null(self._stream.fileno())


def _make_printable(
    _logger: object, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Escape bytes that are no UTF-8, which a file's name may hold."""
    return {
        key: to_printable(value) if isinstance(value, str) else value
        for key, value in event.items()
    }


def redirect_to_null(descriptor: int) -> None:
    """Discard, without an error, what anybody writes to this file descriptor from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def set_up(settings: LogSettings, **bound: Any) -> None:
    """Log to stderr, as long as there is one, with the `bound` values (role, worker) on every line.

    The logs of libraries that use the standard library's logging are shown in the same form, from
    level `warning` on.
    """
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json),
    ]
    renderers: list[structlog.types.Processor]
    if as_json:
        renderers = [
            structlog.processors.ExceptionRenderer(_WITHOUT_VALUES),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        renderers = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    renderers.insert(0, _make_printable)
    stderr = _UnfailingStream(sys.stderr)
    structlog.configure(
        processors=shared + renderers,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, stderr)),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**bound)
    foreign = logging.StreamHandler(stderr)
    foreign.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[foreign], force=True)
