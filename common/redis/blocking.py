"""The blocking client, for libraries without asyncio. It takes one server or Sentinel."""

from redis import Redis
from redis.retry import Retry
from redis.sentinel import Sentinel

from common.redis.address import CLUSTER, SENTINEL
from common.redis.client_options import readable_address
from common.settings import RedisSettings


def connect_blocking(settings: RedisSettings, retry: Retry) -> Redis:
    """Make a client that connects on first use. Raises BadSetting for an unusable address."""
    with readable_address(settings) as options:
        if options.address.scheme in CLUSTER:
            raise ValueError("a blocking client cannot use a Redis Cluster")
        if options.address.scheme not in SENTINEL:
            return Redis(retry=retry, **options.of_one_server)
        sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            options.address.hosts, sentinel_kwargs=options.of_sentinels
        )
        master: Redis = sentinel.master_for(  # type: ignore[no-untyped-call]  # as above
            options.address.service, db=options.address.database, retry=retry, **options.by_node
        )
        return master
