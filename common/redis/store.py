"""What every transition needs: the client, the shards and the limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from common.errors import Refused
from common.keys import Shard, shard_for
from common.redis.client import AnyRedis
from common.redis.script import Script, Value
from common.settings import LimitSettings
from common.telemetry.turn_changes import Listener, TurnChange, ignore_changes, split_changes

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Store:
    """One Redis, as seen by one process. `listener` gets what transitions did to turns."""

    redis: AnyRedis
    shards: int
    limits: LimitSettings
    listener: Listener = ignore_changes

    def shard(self, session: str) -> Shard:
        return shard_for(session, self.shards)

    def all_shards(self) -> list[Shard]:
        return [Shard(number) for number in range(self.shards)]

    async def run(
        self,
        script: Script,
        session: str,
        keys: Mapping[str, str] | None = None,
        shard: Shard | None = None,
        **args: Value | Sequence[Value],
    ) -> list[Any]:
        """Run a script that uses a session, with its own `keys` and `args` by name.

        Raises Refused when a foreign key of the wrong type is in the way.
        """
        shard = shard or self.shard(session)
        answer = await script(
            self.redis,
            shard.session_keys(session) | dict(keys or {}),
            ID=session,
            SESSION_TTL=ms(self.limits.session_ttl_s),
            TEND_AFTER=ms(self.limits.tend_after_s),
            **args,
        )
        if answer and answer[0] == b"refused":
            raise Refused(answer[1].decode())
        answer, changes = split_changes(list(answer), session)
        if changes:
            self._report(changes)
        return answer

    def _report(self, changes: Sequence[TurnChange]) -> None:
        try:
            self.listener(changes)
        except Exception:  # the change is made in Redis, whether or not it is counted
            log.exception("turn_changes_not_counted")


def ms(seconds: float) -> int:
    """Convert s to whole ms."""
    return round(seconds * 1000)
