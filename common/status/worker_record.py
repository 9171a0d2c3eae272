"""What a worker is, does and waits for, as it publishes it in Redis."""

import json
from typing import Any, Final, Literal, Self, TypedDict

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from common.keys import WORKERS, worker_key
from common.latch import Latch
from common.redis.server import now_ms
from common.validation import explain

WorkerState = Literal["starting", "ready", "waiting", "draining"]

log = structlog.get_logger(__name__)

FUTURE_S: Final = 60.0
"""A record of a living worker is by less in the future (s), even after a failover to a server whose
clock is behind."""

_logged: Final[dict[str, Latch[str]]] = {}
"""By worker: why its record was left out, which is logged once and not at every look."""


class WorkerChanges(TypedDict, total=False):
    """The fields of a WorkerRecord that change while a worker runs."""

    state: WorkerState
    in_hand: int
    waits_for: str | None
    model: str | None
    device: str | None
    recordings: bool | None


class WorkerRecord(BaseModel):
    """One worker. What is None is not written; fields of a newer version are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    """The worker's name as a consumer of its streams."""
    role: str = ""
    """`stt` or `llm`."""
    host: str | None = None
    pid: int | None = None
    """The process id on its host."""
    started_at: float
    """Seconds since 1970, by the clock of its host."""
    state: str = ""
    """A WorkerState; a newer version may have others."""
    in_hand: int = 0
    """Entries that the worker holds."""
    waits_for: str | None = None
    """What keeps the worker from working, in a sentence."""
    model: str | None = None
    """The speech-to-text model, once it is loaded."""
    device: str | None = None
    """What the model runs on: `cpu` or `cuda`."""
    recordings: bool | None = None
    """Whether an STT worker takes long recordings; None: it did not say, and does."""

    @property
    def has_started(self) -> bool:
        """Whether the worker reads its streams, or would if its server was usable."""
        return self.state in {"ready", "waiting"}

    @property
    def takes_recordings(self) -> bool:
        return self.role == "stt" and self.recordings is not False

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Parse what `to_json` wrote; raises ValidationError."""
        return cls.model_validate_json(raw)

    def to_json(self) -> bytes:
        """Return it as JSON; what a sentence holds that is not Unicode becomes `?`."""
        return json.dumps(self.as_dict(), ensure_ascii=False).encode("utf-8", "replace")

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


async def read_workers(redis: Any) -> list[WorkerRecord]:
    """Return the workers that show signs of life, by role and name.

    A malformed record is logged once and left out. One from the future is left out as well: its
    worker died before the clock of the server was set back. The living publish theirs anew.
    """
    latest = await now_ms(redis, WORKERS) / 1000 + FUTURE_S
    names = [
        name.decode("utf-8", "replace")
        for name, published_at in await redis.zrange(WORKERS, 0, -1, withscores=True)
        if published_at <= latest
    ]
    for gone in _logged.keys() - set(names):
        del _logged[gone]
    workers = []
    for name in names:
        raw = await redis.get(worker_key(name))
        if raw is not None and (worker := _parse(name, raw)) is not None:
            workers.append(worker)
    return sorted(workers, key=lambda worker: (worker.role, worker.name))


def _parse(name: str, raw: bytes) -> WorkerRecord | None:
    latch = _logged.setdefault(name, Latch(""))
    try:
        worker = WorkerRecord.from_json(raw)
    except ValidationError as error:
        if latch.change_to(why := explain(error)):
            log.warning("bad_worker_entry", worker=name, why=why)
        return None
    latch.change_to("")
    return worker
