"""Without a collector nothing is recorded; with one the extra is needed, and that is said."""

import sys

import pytest

from common.errors import BadSetting
from common.settings import TraceSettings
from common.telemetry.tracing import OFF, open_recorder


def test_without_an_endpoint_nobody_records() -> None:
    with open_recorder(TraceSettings(), "stt", "stt-1") as recorder:
        assert recorder is OFF
        assert not recorder.is_on
        recorder.record([])


def test_without_the_extra_an_endpoint_is_refused_with_the_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "common.telemetry.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with (
        pytest.raises(BadSetting, match=r"pip install 'earshot\[traces\]'"),
        open_recorder(TraceSettings(endpoint="http://127.0.0.1:4318"), "stt", "stt-1"),
    ):
        pass
