"""The model's client on a secured Redis: each script runs under the user whose role runs it."""

import hashlib
import itertools
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final

from common.keys import STT_GROUP
from common.redis.script import Script
from common.transitions import answering, claims, dead_letters, publishing, tending, transcribing
from tests.model.direct_redis import DirectRedis
from tests.support.secured_redis import ROLES, SecuredRedis

WORKERS: Final = ("stt", "llm")


def _owned(scripts: Iterable[Script], role: str) -> dict[str, str]:
    return {script.digest: role for script in scripts}


OWNERS: Final = {
    **_owned(
        [publishing.PUBLISH, publishing.COMMIT, publishing.KEEP_OPEN, publishing.ABANDON],
        "producer",
    ),
    **_owned([transcribing.SETTLE, transcribing.FAIL, transcribing.BURY], "stt"),
    **_owned([answering.TAKE, answering.DELTA, answering.SETTLE, answering.FAIL], "llm"),
    **_owned([answering.BURY, answering.DROP_WAKE_UP], "llm"),
    **_owned([dead_letters.REPLAY, dead_letters.DROP_LETTER, tending.FORGET], "admin"),
}
# A claim's script names the group that it is about.
OF_GROUPS: Final = {
    script.digest
    for script in (
        claims.HEARTBEAT,
        claims.HAND_BACK,
        claims.LEAVE,
        claims.MAKE_GROUP,
        claims.TAKE_OVER,
        claims.MEND_IDLE,
    )
}
OF_ANY_WORKER: Final = {script.digest for script in (tending.TEND, tending.TRIM, tending.SET_ASIDE)}


class RoleUsers(DirectRedis):
    """`do` stays the model's own hand. `ran` are the digests of scripts."""

    def __init__(self, server: SecuredRedis) -> None:
        super().__init__(server)
        self._clients = {role: server.client_of(role) for role in ROLES}
        self._wires: dict[str, Any] = {
            role: client.connection_pool.get_connection() for role, client in self._clients.items()
        }
        self._tending = itertools.cycle(WORKERS)
        self.ran: set[str] = set()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        own, digest = self._wire, str(args[1])
        if args[0] == "EVAL":
            digest = hashlib.sha1(digest.encode(), usedforsecurity=False).hexdigest()
        self.ran.add(digest)
        self._wire = self._wires[self._role(digest, args)]
        try:
            return await super().execute_command(*args, **options)
        finally:
            self._wire = own

    def _role(self, digest: str, args: tuple[Any, ...]) -> str:
        if digest in OF_GROUPS:
            return "stt" if args[4] == STT_GROUP else "llm"
        return next(self._tending) if digest in OF_ANY_WORKER else OWNERS[digest]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._clients.values():
            client.close()
        super().__exit__(kind, error, trace)
