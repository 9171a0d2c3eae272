"""The Redis server: its clock, and the check whether it can keep the promises."""

from typing import Any, Final

import structlog
from redis.asyncio import RedisCluster
from redis.exceptions import NoPermissionError, RedisClusterException, RedisError

from common.errors import RedisUnusable
from common.keys import SHARDS
from common.redis.client import AnyRedis
from common.redis.failures import explain_failure, is_away
from common.settings import RedisSettings
from common.settings.masking import mask_password

OLDEST_SERVER: Final = (6, 2)

log = structlog.get_logger(__name__)


async def now_ms(redis: AnyRedis, key: str) -> int:
    """Return the time by the clock of the server that holds a key: the clock that all hosts share.

    In a cluster no other node is asked, since that one may be away.
    """
    if isinstance(redis, RedisCluster):
        await redis.initialize()
        seconds, micros = await redis.time(target_nodes=redis.get_node_from_key(key))
    else:
        seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def check_server(redis: AnyRedis, settings: RedisSettings, shards: int) -> None:
    """Check that the server can keep the promises and is used with the same number of shards.

    Raises RedisUnusable if not. The error of a server that is away passes on.
    """
    try:
        await _check_info(redis, settings)
        await _check_shards(redis, shards)
    except (RedisError, RedisClusterException) as error:
        if is_away(error):
            raise
        raise RedisUnusable(explain_failure(error, settings)) from None


async def _check_info(redis: AnyRedis, settings: RedisSettings) -> None:
    try:
        info = await _info(redis)
    except NoPermissionError:
        log.warning("redis_not_checked", why="this user may not run INFO")
        return
    version = str(info.get("redis_version", "6.2"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < OLDEST_SERVER:
        raise RedisUnusable(f"Redis {version} is too old: earshot needs 6.2 or newer")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and int(info.get("maxmemory", 0)) > 0:
        raise RedisUnusable(
            f"Redis at {mask_password(settings.url)} evicts keys under memory pressure"
            f" (maxmemory-policy {policy}), which would lose utterances:"
            " set `maxmemory-policy noeviction`"
        )


async def _check_shards(redis: AnyRedis, shards: int) -> None:
    # Read first: a full server answers reads, and its backlog must be able to drain.
    try:
        noted = await redis.get(SHARDS)
    except Exception as error:
        if not isinstance(redis, RedisCluster) or not is_away(error):
            raise
        log.warning("shards_not_checked", why=f"the node that holds {SHARDS} is away")
        return
    if noted is None:
        try:
            await redis.set(SHARDS, shards, nx=True)
        except NoPermissionError:
            return  # a viewer's credentials write nothing: the first producer or worker notes it
        noted = await redis.get(SHARDS)
    if noted is None or noted == str(shards).encode():
        return
    if not noted.isdigit():
        raise RedisUnusable(
            f"the key {SHARDS} holds something else than earshot's number of shards: delete it"
        )
    raise RedisUnusable(
        f"this Redis is used with {int(noted)} shards, and EARSHOT_SHARDS is {shards}:"
        f" set EARSHOT_SHARDS={int(noted)} (changing it wants a drained system and"
        f" `DEL {SHARDS}`)"
    )


async def _info(redis: AnyRedis) -> dict[str, Any]:
    if not isinstance(redis, RedisCluster):
        return dict(await redis.info())
    await redis.initialize()
    nodes = redis.get_primaries()
    for node in nodes:
        try:
            return dict(await redis.info(target_nodes=node))
        except Exception as error:
            if node is nodes[-1] or not is_away(error):
                raise
    raise RedisClusterException("the cluster has no master")
