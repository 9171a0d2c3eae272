"""Sending spans to an OpenTelemetry collector, in batches from a thread of its own.

This is the only module that imports OpenTelemetry. It does not use the SDK's tracer, which
measures by this host's clock: the times of our spans are the Redis server's, known at their end.
"""

import logging
import random
import threading
from collections.abc import Iterable, Sequence
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from common.latch import Latch
from common.settings.masking import mask_password
from common.telemetry.spans import Span
from common.traceparent import SAMPLED

PATH: Final = "/v1/traces"

EXPORT_S: Final = 5.0
"""The limit for one batch with its retries; meanwhile up to 2048 spans wait in a queue."""

CLOSE_S: Final = 3.0
"""The limit for the last batch: a collector that is away must not hold up a worker that leaves."""

NS_PER_MS: Final = 1_000_000

log = structlog.get_logger(__name__)


class OtlpRecorder:
    """Implements tracing.Recorder. The OTEL_... variables that the SDK reads apply."""

    is_on = True

    def __init__(self, endpoint: str, role: str, name: str) -> None:
        url = endpoint.rstrip("/").removesuffix(PATH) + PATH
        # we log each change of state once; the SDK would log each failed batch
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource = Resource.create(
            {"service.name": f"earshot-{role}", "service.instance.id": name}
        )
        exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_S)
        self._batches = BatchSpanProcessor(_LoggedExporter(exporter, mask_password(url)))

    def record(self, spans: Iterable[Span]) -> None:
        for span in spans:
            self._batches.on_end(self._readable(span))

    def close(self) -> None:
        """Send what waits, for at most CLOSE_S."""
        last = threading.Thread(target=self._batches.shutdown, daemon=True)
        last.start()
        last.join(CLOSE_S)

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            context=_context(span.trace, span.id or f"{random.getrandbits(64) or 1:016x}"),
            parent=_context(span.trace, span.parent, remote=True) if span.parent else None,
            resource=self._resource,
            attributes=span.attributes,
            events=[Event(name, timestamp=at * NS_PER_MS) for name, at in span.events.items()],
            links=[Link(_context(link.trace, link.span, remote=True)) for link in span.links],
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=span.start * NS_PER_MS,
            end_time=span.end * NS_PER_MS,
        )


def _context(trace: str, span: str, *, remote: bool = False) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), remote, TraceFlags(SAMPLED))


class _LoggedExporter(SpanExporter):
    """Logs once when the collector stops taking spans, and once when it takes them again."""

    def __init__(self, inner: SpanExporter, url: str) -> None:
        self._inner = inner
        self._url = url
        self._is_failing = Latch(False)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if self._is_failing.change_to(failing):
            if failing:
                why = "is the collector running there?"
                log.warning("traces_not_taken", url=self._url, why=why)
            else:
                log.info("traces_taken_again", url=self._url)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()
