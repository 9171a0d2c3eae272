"""Who watches a job sees how far it is, through an absence of Redis, until it has ended."""

from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

from ops.cli.jobs import job_state
from ops.cli.jobs.job_state import AWAY, JobState, watch

JOB = {"job": "transcribe"}
HALF = {"done_s": 5.0, "duration_s": 10.0}


def watched(
    monkeypatch: pytest.MonkeyPatch, looks: list[JobState | Exception]
) -> tuple[dict[str, JobState], list[JobState]]:
    """How it ended, and what was shown on the way."""
    told: Iterator[JobState | Exception] = iter(looks)

    def look(_connection: "Redis", _identity: str, _kind: str) -> JobState:
        one = next(told)
        if isinstance(one, Exception):
            raise one
        return one

    shown: list[JobState] = []
    monkeypatch.setattr(job_state, "read_state", look)
    ended = watch(Redis(), JOB, lambda _, seen: shown.append(seen), sleep=lambda _: None)
    return ended, shown


def test_the_bar_stays_where_it_was_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    done = JobState("done", ended=True, done=True, progress=HALF, result={"output": "x"})
    ended, shown = watched(
        monkeypatch,
        [
            JobState("in work", progress=HALF),
            RedisConnectionError("gone"),
            RedisConnectionError("gone"),
            JobState("in work", progress=HALF),
            done,
        ],
    )
    assert ended == {"job": done}
    assert [one.state for one in shown] == ["in work", AWAY, AWAY, "in work", "done"]
    assert all(one.progress == HALF for one in shown)


def test_redis_may_be_away_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = JobState("failed", ended=True, error="no such file")
    ended, shown = watched(monkeypatch, [RedisConnectionError("gone"), failed])
    assert shown[0] == JobState(AWAY)
    assert ended["job"].error == "no such file"


def test_what_only_a_person_can_mend_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AuthenticationError):
        watched(monkeypatch, [AuthenticationError("WRONGPASS")])
