"""Each error of a handler has one meaning for the entry in hand, and every reason for a burial its
series from the start."""

from typing import Any, get_args

import pytest
from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, ResponseError

from common.errors import (
    BadAudio,
    BadEntry,
    Busy,
    Lost,
    Misconfigured,
    NewerSchema,
    NoModel,
    Permanent,
    Refused,
    Transient,
)
from workers.loop import metrics
from workers.loop.decisions import (
    BUSY_PATIENCE_S,
    ENDLESS_S,
    AwaitRedis,
    Bury,
    Decision,
    Fail,
    LetGo,
    decide,
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Permanent("never"), "permanent"),
        (BadAudio("no audio"), "bad_audio"),
        (BadEntry("no entry"), "bad_entry"),
        (NewerSchema("of tomorrow"), "newer_schema"),
        (Refused("a foreign key is in the way"), "refused"),
    ],
)
def test_what_can_never_succeed_is_buried_at_once(error: Any, reason: Any) -> None:
    assert decide(error) == Bury(reason, str(error))


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (Lost("another has it"), LetGo("another has it")),
        (Transient("the server is away"), Fail("the server is away", blames_server=True)),
        (Transient("not now", opens_breaker=False), Fail("not now")),
        (Transient("later", retry_after=7, opens_breaker=False), Fail("later", wish_s=7)),
        (Busy("too many", retry_after=7), Fail("too many", wish_s=7, patience_s=BUSY_PATIENCE_S)),
        (Misconfigured("mend it"), Fail("mend it", patience_s=ENDLESS_S)),
        (RedisConnectionError("refused"), AwaitRedis()),
        (RedisClusterException("Redis Cluster cannot be connected"), AwaitRedis()),
    ],
)
def test_what_waits_or_is_anothers_is_never_buried_at_once(
    error: Exception, decision: Decision
) -> None:
    assert decide(error) == decision


@pytest.mark.parametrize(
    "error",
    [ValueError("a bug"), OSError("no such file"), ResponseError("WRONGTYPE"), NoModel("gone")],
)
def test_what_has_no_known_cause_is_a_failure_that_names_its_class(error: Exception) -> None:
    assert decide(error) == Fail(f"{type(error).__name__}: {error}", is_unexplained=True)


def test_every_reason_has_a_series_before_its_first_burial() -> None:
    metrics.create_series("stt")
    for reason in get_args(metrics.BurialReason):
        labels = {"stage": "stt", "reason": reason}
        assert REGISTRY.get_sample_value("earshot_dead_letters_total", labels) is not None
