"""RQ's connection to Redis: a blocking client, never to a Cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pydantic import SecretStr
from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from common.errors import BadSetting, RedisUnusable
from common.redis.address import CLUSTER
from common.redis.blocking import connect_blocking
from common.redis.failures import explain_failure
from common.settings import RedisSettings, Settings

PATIENT_TRIES: Final = 40
LONGEST_PAUSE_S: Final = 2.0
FIRST_PAUSE_S: Final = 0.1
"""PATIENT_TRIES with these pauses take about a minute. A restart of Redis or a failover takes less.
RQ ends a worker at the first error. After a longer outage the process ends and is started again."""


def explain_error(error: Exception, settings: Settings) -> str:
    """Explain an error of RQ's Redis to a person."""
    return explain_failure(error, _redis_settings(settings))


def connect(settings: Settings, *, patient: bool = False) -> "Redis":
    """Make a client that connects on first use.

    A `patient` client tries again for about a minute while Redis is away. Raises BadSetting for an
    address that RQ cannot use.
    """
    redis = _redis_settings(settings)
    if redis.url.startswith(tuple(f"{scheme}://" for scheme in CLUSTER)):
        raise BadSetting(
            "RQ, which runs the jobs, cannot use a Redis Cluster: set"
            " EARSHOT_JOBS__REDIS_URL to a single server (what goes through it is small)"
        )
    if patient:
        pauses = ExponentialBackoff(cap=LONGEST_PAUSE_S, base=FIRST_PAUSE_S)
        return connect_blocking(redis, Retry(pauses, PATIENT_TRIES))
    return connect_blocking(redis, Retry(NoBackoff(), 0))


def _redis_settings(settings: Settings) -> RedisSettings:
    """Return the address of RQ's Redis. If it is another server, its URL holds the credentials."""
    url = settings.jobs.redis_url
    if not url or url == settings.redis.url:
        return settings.redis
    changes: dict[str, object] = {"url": url, "username": "", "password": SecretStr("")}
    if not url.startswith("rediss"):
        changes |= dict.fromkeys(("ca_file", "cert_file", "key_file"), "")
    return settings.redis.model_copy(update=changes)


@contextmanager
def open_connection(settings: Settings) -> Iterator["Redis"]:
    """Connect to RQ's Redis for a short command. Raises RedisUnusable if that fails."""
    try:
        with connect(settings) as connection:
            connection.ping()
            yield connection
    except RedisError as error:
        raise RedisUnusable(f"for the jobs: {explain_error(error, settings)}") from None
