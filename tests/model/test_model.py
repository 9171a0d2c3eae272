"""Promises 1, 2, 4 and 6: whatever dies, and however the commands interleave, every utterance that
`publish` accepted ends in exactly one reply, skip or error, replies come in order, nothing is
accepted twice, nobody sees or answers what was not committed, and no session gets stuck.

Each run interleaves producers, STT and LLM workers, tending and operators at random, with deaths,
lost and late replies, zombies, rollbacks, lost groups, flushes, vanished entries, expiry, foreign
entries, a full memory and damaged keys of one session; afterwards all is read from the results
stream and the keys.
`--seed N` repeats one run, `--seeds N` sets how many there are.
"""

import time
from collections import Counter
from typing import Final

import pytest

from tests.model.direct_redis import DirectRedis
from tests.model.run import run_seed
from tests.support.redis_server import EXECUTABLES

A_FEW: Final = 100
MANY: Final = 1_500
ON_BOTH_SERVERS = pytest.mark.parametrize("direct", EXECUTABLES, indirect=True)

# Every answer that a script can give has to come up, or the runs would prove little.
ANSWERS: Final = {
    "publish": {"accepted", "revised", "duplicate", "closed", "full"},
    "commit": {"ok", "closed", "unknown"},
    "abandon": {"ok", "closed"},
    "settle_utterance": {"ok", "lost", "stale"},
    "skip_utterance": {"ok", "lost", "stale"},
    "bury_utterance": {"ok", "lost", "stale"},
    "fail_utterance": {"deferred", "limit", "lost", "stale"},
    "take_turn": {"ok", "nothing", "stale", "lost"},
    "delta": {"ok", "lost"},
    "settle_turn": {"ok", "lost", "stale"},
    "bury_turn": {"ok", "lost", "stale"},
    "fail_turn": {"deferred", "limit", "lost", "stale"},
    "take_over": {"", "handed_back", "abandoned", "deferred"},
    "mend_idle": {"some", "none"},
    "heartbeat": {"ok", "lost"},
    "hand_back": {"0", "1"},
    "leave": {"0", "1"},
    "replay": {"accepted", "full", "gone"},
    "forget": {"some", "none"},
    "tend": {"", "expired", "lost", "woken", "refused", "released"},
    "set_aside": {"new", "known"},
    "drop_wake_up": {"ok", "lost"},
    "keep_open": {"ok", "closed"},
}


def run_all(direct: DirectRedis, seeds: range) -> Counter[tuple[str, str]]:
    answers: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        answers += run_seed(direct, seed)
    return answers


@ON_BOTH_SERVERS
def test_a_few_random_runs(direct: DirectRedis, request: pytest.FixtureRequest) -> None:
    only = request.config.getoption("--seed")
    count = request.config.getoption("--seeds") or A_FEW
    run_all(direct, range(count) if only is None else range(only, only + 1))


@pytest.mark.full
@pytest.mark.timeout(1_800)
@ON_BOTH_SERVERS
def test_many_random_runs(
    direct: DirectRedis, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    # the few have run the first seeds
    seeds = range(A_FEW, A_FEW + (request.config.getoption("--seeds") or MANY))
    before = time.monotonic()
    answers = run_all(direct, seeds)
    with capsys.disabled():
        print(
            f"\n{len(seeds)} runs (seeds {seeds.start} to {seeds.stop - 1}) with"
            f" {answers.total()} answers of scripts in {time.monotonic() - before:.0f} s"
        )
    for script, expected in ANSWERS.items():
        missing = {answer for answer in expected if not answers[script, answer]}
        assert not missing, f"{script} never answered {missing}"
