"""Recording spans: nothing at all unless a collector is named in the settings."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from common.errors import BadSetting
from common.settings import TraceSettings
from common.telemetry.spans import Span


class Recorder(Protocol):
    """Takes spans that have ended. `is_on` says whether anybody keeps them."""

    is_on: bool

    def record(self, spans: Iterable[Span]) -> None:
        """Keep these; never blocks and never raises."""
        ...


class _Off:
    is_on = False

    def record(self, spans: Iterable[Span]) -> None:
        """Do nothing; where `is_on` is false spans are not even made."""


OFF: Final[Recorder] = _Off()


@contextmanager
def open_recorder(settings: TraceSettings, role: str, name: str) -> Iterator[Recorder]:
    """Open the recorder of one process, `name`; its end waits a short time for the last spans.

    Raises BadSetting when the extra `traces` is not installed.
    """
    if not settings.endpoint:
        yield OFF
        return
    try:
        from common.telemetry.otlp import OtlpRecorder
    except ModuleNotFoundError as error:
        raise BadSetting(
            f"EARSHOT_TRACES__ENDPOINT is set and {error.name} is not installed:"
            " pip install 'earshot[traces]'"
        ) from None
    recorder = OtlpRecorder(settings.endpoint, role, name)
    try:
        yield recorder
    finally:
        recorder.close()
