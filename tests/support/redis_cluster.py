"""A Redis Cluster of three masters on this machine, with or without replicas."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from redis.crc import key_slot

from common.closeable import Closeable
from common.keys import Shard
from ops.local.machine import find_free_port
from tests.support.redis_nodes import DURABLE, START_S, RedisNode, RedisNodes
from tests.support.waiting import until_sync

MASTERS: Final = 3
SLOTS: Final = 16_384
SOCKET: Final = "redis.sock"
CLUSTER: Final = (
    "cluster-enabled yes",
    "cluster-require-full-coverage no",
    f"unixsocket {SOCKET}",
)


class RedisCluster(Closeable):
    """Its nodes are gone at the end of the context.

    `timeout_ms`: a node that is not heard for so long has failed. A busy machine makes a short one
    untrue, and a master that hears too few others says that the cluster is down.
    """

    def __init__(self, *, replicas: int = 0, timeout_ms: int = 5_000) -> None:
        self._nodes = RedisNodes()
        limit = f"cluster-node-timeout {timeout_ms}"
        # a bus port of its own: by default it is the port and 10000, which may be no port
        self.nodes: Sequence[RedisNode] = [
            self._nodes.add([*DURABLE, *CLUSTER, limit, f"cluster-port {find_free_port()}"])
            for _ in range(MASTERS * (1 + replicas))
        ]
        until_sync(lambda: all(node.info("server") for node in self.nodes))
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        create = ["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"]
        create += ["--cluster-replicas", str(replicas)]
        subprocess.run(create, check=True, capture_output=True, timeout=START_S)
        self._replicas = replicas
        until_sync(lambda: self.is_whole)

    @property
    def is_whole(self) -> bool:
        """Whether every node is there and knows the others."""
        return all(is_whole(node, self._replicas) for node in self.nodes)

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def find_master(self, key: str) -> RedisNode:
        """The node that held this key when the cluster was made."""
        return self.nodes[key_slot(key.encode()) * MASTERS // SLOTS]

    def shards_of(self, master: RedisNode, shards: int) -> list[int]:
        """The shards whose keys were on this node when the cluster was made."""
        held = (Shard(number) for number in range(shards))
        return [shard.number for shard in held if self.find_master(shard.open) is master]

    def socket_of(self, node: RedisNode) -> Path:
        """Its Unix socket, for what stands between the node and its clients."""
        return node.folder / SOCKET

    def announce(self, node: RedisNode, port: int) -> None:
        """Let the nodes tell their clients that this node is reached at this port. Waits."""
        with node.client() as client:
            client.config_set("cluster-announce-port", port)
        until_sync(lambda: all(str(port) in each.ask("CLUSTER SLOTS") for each in self.nodes))

    def close(self) -> None:
        self._nodes.close()


def is_whole(node: RedisNode, replicas: int) -> bool:
    """Whether a node knows the whole cluster, and each replica follows its master."""
    state = node.ask("CLUSTER INFO")
    replicates = node.info("replication")
    follows = replicates.get("master_link_status") == "up" or replicates.get("connected_slaves")
    return "cluster_state:ok" in state.replace("'", "").replace(" ", "") and (
        bool(follows) or not replicas
    )


def is_master(node: RedisNode) -> bool:
    return node.info("replication").get("role") == "master"
