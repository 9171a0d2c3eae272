"""An OpenTelemetry collector for tests: takes OTLP over HTTP and keeps the spans."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from common.closeable import Closeable

PATIENCE_S: Final = 60.0
NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Received:
    """One span. Times are ms since 1970, ids hexadecimal digits, `parent` empty for a root."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    start: float
    end: float
    error: str
    events: dict[str, float]
    links: list[str]
    attributes: dict[str, str | int]


class OtlpReceiver(Closeable):
    """Listens on a free port of this machine; `status` is what it answers with."""

    def __init__(self) -> None:
        self.status = 200
        self.requests = 0
        self._spans: list[Received] = []
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the base's way to name it
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.take(self.path, body))
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, body: bytes) -> int:
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        with self._changed:
            self.requests += 1
            if self.status == 200:
                self._spans += _received(request)
            self._changed.notify_all()
            return self.status

    def wait_for(self, good: Callable[[list[Received]], Any]) -> list[Received]:
        """All spans so far, once they are good."""
        with self._changed:
            assert self._changed.wait_for(lambda: good(self._spans), PATIENCE_S), self._spans
            return list(self._spans)

    def wait_for_requests(self, count: int) -> None:
        """Until it was asked so often, whatever it answered."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.requests >= count, PATIENCE_S)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _received(request: Any) -> list[Received]:
    found = []
    for resource in request.resource_spans:
        service = _values(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            found += [
                Received(
                    str(service),
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano / NS_PER_MS,
                    span.end_time_unix_nano / NS_PER_MS,
                    span.status.message if span.status.code == 2 else "",
                    {event.name: event.time_unix_nano / NS_PER_MS for event in span.events},
                    [link.span_id.hex() for link in span.links],
                    _values(span.attributes),
                )
                for span in scope.spans
            ]
    return found


def _values(attributes: Any) -> dict[str, str | int]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}
