"""A client of Redis Cluster in which the trouble of one node does not touch the others.

In redis-py one node that does not answer stops the commands for all others, in three ways:

- Before each XREAD and XREADGROUP it asks one node, always the same, which keys they have.
- When a node has failed, every command waits until the map of the cluster has been read again. If
  the node that is asked for it hangs, they wait until that times out.
- If the map cannot be read, or a node says that the cluster is down, the connections to all nodes
  are closed, even those on which a command waits.

Here keys are looked for in the command itself, a newer map is read beside the commands, and nobody
closes the connections of others.
"""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Final, Self

from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import RedisClusterException, ResponseError, SlotNotCoveredError

from common.redis.failures import is_away

MAP_EVERY_S: Final = 0.5
"""The map is read at most so often (s), however many commands fail."""

STREAM_READS: Final = frozenset({"XREAD", "XREADGROUP"})

_in_command: Final = ContextVar("in_command", default=False)


class PatientCluster(RedisCluster):
    """Sends each command to the node of its key, whatever the other nodes do."""

    def __init__(self, hosts: Sequence[tuple[str, int]], **options: Any) -> None:
        super().__init__(startup_nodes=[ClusterNode(host, port) for host, port in hosts], **options)
        self._given = dict(self.nodes_manager.startup_nodes)
        self._starting = asyncio.Lock()
        self._has_map = False
        self._reading: asyncio.Task[None] | None = None

    async def initialize(self, *args: Any, **kwargs: Any) -> Self:
        """Read the map of the cluster: wait for the first one, and for no later one."""
        if not self._has_map:
            async with self._starting:
                if not self._has_map:
                    await self._start()
        elif self._initialize and (self._reading is None or self._reading.done()):
            self._initialize = False
            self._reading = asyncio.create_task(self._read_map(*args, **kwargs))
        return self

    async def _start(self) -> None:
        try:
            await self.nodes_manager.initialize()
            await self._read_commands()
        except BaseException:
            await self._close()
            raise
        self._has_map, self._initialize = True, False

    async def _read_commands(self) -> None:
        """Ask where the keys of each command are. Any master knows."""
        error: Exception = RedisClusterException("the cluster has no master")
        for node in self.get_primaries():
            try:
                await self.commands_parser.initialize(node)
            except Exception as failure:
                if not is_away(failure):
                    raise
                error = failure
            else:
                return
        raise error

    async def _read_map(self, *args: Any, **kwargs: Any) -> None:
        try:
            await self.nodes_manager.initialize(*args, **kwargs)
        except Exception:  # whoever needs a node that is away finds that out without the map
            self.nodes_manager.startup_nodes.update(self._given)
        await asyncio.sleep(MAP_EVERY_S)

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().execute_command(*args, **kwargs)
        except SlotNotCoveredError:  # the map has a hole, and redis-py would keep it
            self._initialize = True
            raise

    async def _execute_command(self, target_node: ClusterNode, *args: Any, **kwargs: Any) -> Any:
        token = _in_command.set(True)
        try:
            return await super()._execute_command(target_node, *args, **kwargs)
        except BaseException as error:
            # no answer, perhaps in the caller's time: what any node can answer goes to another one
            if not isinstance(error, ResponseError) and target_node == self.get_default_node():
                self.replace_default_node()
            raise
        finally:
            _in_command.reset(token)

    async def _determine_slot(self, command: str, *args: Any) -> int:
        if command not in STREAM_READS:
            return await super()._determine_slot(command, *args)
        slots = {self.keyslot(key) for key in stream_keys(args)}
        if len(slots) != 1:
            raise RedisClusterException(f"the keys of {command} lie in {len(slots)} slots")
        return slots.pop()

    async def aclose(self) -> None:
        """Close all connections. Inside a command, where redis-py calls this, only read the map."""
        if _in_command.get():
            self._initialize = True
            return
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._close()

    async def _close(self) -> None:
        self._has_map = self._initialize = False  # redis-py closes what it takes for open only
        await super().aclose()


def stream_keys(args: Sequence[Any]) -> Sequence[Any]:
    """Return the keys of XREAD or XREADGROUP: the first half of what follows the word STREAMS."""
    start = next(place for place, arg in enumerate(args, 1) if arg in (b"STREAMS", "STREAMS"))
    return args[start : start + (len(args) - start) // 2]
