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
    Lost,
    NewerSchema,
    NoModel,
    Permanent,
    Refused,
    Transient,
)
from workers.loop import metrics
from workers.loop.decisions import (
    AwaitRedis,
    Bury,
    Decision,
    HandBack,
    LetGo,
    Redeliver,
    TryAgain,
    decide,
    is_unexplained,
)

LIMIT = 3


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
    assert decide(error, 1, LIMIT) == Bury(reason, str(error))


@pytest.mark.parametrize("number", [1, LIMIT, LIMIT + 1])
@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (Lost("another has it"), LetGo("another has it")),
        (Transient("the server is away"), HandBack("the server is away")),
        (Transient("not now", opens_breaker=False), TryAgain("not now", None)),
        (Transient("later", retry_after=7, opens_breaker=False), TryAgain("later", 7)),
        (RedisConnectionError("refused"), AwaitRedis()),
        (RedisClusterException("Redis Cluster cannot be connected"), AwaitRedis()),
    ],
)
def test_what_waits_or_is_anothers_is_never_buried(
    error: Exception, decision: Decision, number: int
) -> None:
    assert decide(error, number, LIMIT) == decision
    assert not is_unexplained(decision)


@pytest.mark.parametrize(
    "error",
    [ValueError("a bug"), OSError("no such file"), ResponseError("WRONGTYPE"), NoModel("gone")],
)
def test_what_has_no_known_cause_is_tried_until_the_limit_and_then_buried(
    error: Exception,
) -> None:
    first, last = decide(error, LIMIT - 1, LIMIT), decide(error, LIMIT, LIMIT)
    assert first == Redeliver()
    assert last == Bury("failed", f"{type(error).__name__}: {error}")
    assert is_unexplained(first)
    assert is_unexplained(last)


def test_every_reason_has_a_series_before_its_first_burial() -> None:
    metrics.create_series("stt")
    for reason in get_args(metrics.BurialReason):
        labels = {"stage": "stt", "reason": reason}
        assert REGISTRY.get_sample_value("earshot_dead_letters_total", labels) is not None
