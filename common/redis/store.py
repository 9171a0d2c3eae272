"""What every transition needs: the client, the shard of a session, and the limits in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from common.errors import Refused
from common.keys import Shard, shard_for
from common.redis.client import AnyRedis
from common.redis.script import Script
from common.settings import LimitSettings
from common.telemetry.turn_changes import Listener, Mark, split, unheard

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Store:
    """One Redis, as seen by one process. `listener` is told what the transitions did to turns."""

    redis: AnyRedis
    shards: int
    limits: LimitSettings
    listener: Listener = unheard

    def shard(self, session: str) -> Shard:
        return shard_for(session, self.shards)

    def all_shards(self) -> list[Shard]:
        return [Shard(number) for number in range(self.shards)]

    async def run(
        self,
        script: Script,
        session: str,
        *args: str | bytes | float,
        keys: Sequence[str] = (),
        shard: Shard | None = None,
    ) -> list[Any]:
        """Run a script that touches a session; `keys` and `args` follow the shared ones.

        Raises Refused when a foreign key of the wrong type is in the way.
        """
        shard = shard or self.shard(session)
        answer = await script(
            self.redis,
            [*shard.of_session(session), *keys],
            [session, ms(self.limits.session_ttl_s), ms(self.limits.tend_after_s), *args],
        )
        if answer and answer[0] == b"refused":
            raise Refused(answer[1].decode())
        answer, marks = split(list(answer), session)
        if marks:
            self._tell(marks)
        return answer

    def _tell(self, marks: Sequence[Mark]) -> None:
        try:
            self.listener(marks)
        except Exception:  # what was done in Redis is done, whatever becomes of its description
            log.exception("marks_not_heard")


def ms(seconds: float) -> int:
    return round(seconds * 1000)
