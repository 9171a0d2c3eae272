"""The asyncio client, for each kind of Redis: one server, Sentinel, Cluster."""

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from common.redis.address import CLUSTER, SENTINEL
from common.redis.client_options import ClientOptions, readable_address
from common.redis.cluster import PatientCluster
from common.settings import RedisSettings

AnyRedis = Redis | RedisCluster


def connect(settings: RedisSettings) -> AnyRedis:
    """Make a client that connects on first use. Raises BadSetting for an unusable address."""
    with readable_address(settings) as options:
        if options.address.scheme in SENTINEL:
            return _sentinel(options)
        if options.address.scheme in CLUSTER:
            return _cluster(options)
        return Redis(retry=Retry(NoBackoff(), 0), **options.of_one_server)


def _sentinel(options: ClientOptions) -> Redis:
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        options.address.hosts, sentinel_kwargs=options.of_sentinels
    )
    master: Redis = sentinel.master_for(
        options.address.service,
        db=options.address.database,
        retry=Retry(NoBackoff(), 0),
        **options.by_node,
    )
    return master


def _cluster(options: ClientOptions) -> RedisCluster:
    return PatientCluster(
        options.address.hosts,
        retry=Retry(NoBackoff(), 0),
        require_full_coverage=False,
        **options.by_node,
    )
