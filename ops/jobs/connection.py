"""RQ's connection: its own kind of client (blocking), and never to a Cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from common.errors import BadSetting, RedisUnusable
from common.redis import tls
from common.redis.address import CLUSTER, SENTINEL, parse
from common.redis.connection import SOCKET_TIMEOUT_S, sentence
from common.settings import Settings
from common.settings.masking import mask_password

# Together about a minute: RQ gives up a worker at the first error, and a restart of Redis, or a
# failover, is shorter than that. What lasts longer ends the process, which is started again.
PATIENT_TRIES: Final = 40
LONGEST_PAUSE_S: Final = 2.0
FIRST_PAUSE_S: Final = 0.1


def url_of(settings: Settings) -> str:
    return settings.jobs.redis_url or settings.redis.url


def why(error: Exception, settings: Settings) -> str:
    """What a person should know about an error of RQ's Redis."""
    return sentence(error, settings.redis.model_copy(update={"url": url_of(settings)}))


def connect(settings: Settings, *, patient: bool = False) -> "Redis":
    """A client that connects on first use; a `patient` one outlasts a minute without Redis.

    Raises BadSetting for an address that RQ cannot use.
    """
    url = url_of(settings)
    retry = (
        Retry(ExponentialBackoff(cap=LONGEST_PAUSE_S, base=FIRST_PAUSE_S), PATIENT_TRIES)
        if patient
        else Retry(NoBackoff(), 0)
    )
    options: dict[str, Any] = {
        "retry": retry,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        "protocol": 2,
    }
    if url == settings.redis.url:  # another server's credentials stand in its own URL
        options |= _credentials(settings)
    try:
        address = parse(url)
        if address.scheme in CLUSTER:
            raise BadSetting(
                "RQ, which runs the jobs, cannot use a Redis Cluster: set"
                " EARSHOT_JOBS__REDIS_URL to a single server (what goes through it is small)"
            )
        secured = tls.options(settings.redis, address) if address.has_tls else {}
        if address.scheme in SENTINEL:
            sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                address.hosts,
                sentinel_kwargs={"socket_timeout": 1.0, "socket_connect_timeout": 1.0} | secured,
            )
            master: Redis = sentinel.master_for(  # type: ignore[no-untyped-call]  # as above
                address.service, db=address.database, **(options | address.credentials | secured)
            )
            return master
        return Redis(**(options | address.of_one_server() | secured))
    except ValueError as error:
        raise BadSetting(f"the Redis URL {mask_password(url)!r} is not usable: {error}") from None


def _credentials(settings: Settings) -> dict[str, str]:
    password = settings.redis.password.get_secret_value()
    given = {"username": settings.redis.username, "password": password}
    return {name: value for name, value in given.items() if value}


@contextmanager
def reached(settings: Settings) -> Iterator["Redis"]:
    """RQ's Redis for a short command: raises RedisUnusable when it is away, or refuses."""
    try:
        with connect(settings) as connection:
            connection.ping()
            yield connection
    except RedisError as error:
        raise RedisUnusable(f"for the jobs: {why(error, settings)}") from None
