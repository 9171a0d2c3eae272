"""Recording spans: nothing at all unless a collector is named in the settings."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from common.errors import BadSetting
from common.settings import TraceSettings
from common.telemetry.spans import Span


class Recorder(Protocol):
    """Takes spans that are over. `is_on` says whether anybody keeps them."""

    is_on: bool

    def record(self, spans: Iterable[Span]) -> None:
        """Keep these; never blocks and never raises."""
        ...


class _Off:
    is_on = False

    def record(self, spans: Iterable[Span]) -> None:
        """Nobody asked for them: they are not even made."""


OFF: Final[Recorder] = _Off()


@contextmanager
def tracing(settings: TraceSettings, role: str, name: str) -> Iterator[Recorder]:
    """A recorder for one process, `name`; at the end it sends what it still holds, briefly.

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
