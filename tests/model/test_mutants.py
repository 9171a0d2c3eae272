"""The model test can fail: with any one guard of the scripts removed, it finds a violation."""

import time
from collections.abc import Iterable
from typing import Final

import pytest

from common.redis.script import assemble
from tests.model.actors import Violation
from tests.model.all_mutants import MUTANTS
from tests.model.catching_seeds import CAUGHT_BY
from tests.model.direct_redis import DirectRedis
from tests.model.mutants import Mutant, check_found, edited, mutated, scripts
from tests.model.run import run_seed
from tests.support.redis_server import EXECUTABLES

A_FEW: Final = 300
MANY: Final = 3_000
guards = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)


def runs_until_caught(direct: DirectRedis, mutant: Mutant, seeds: Iterable[int]) -> int | None:
    """How many runs it took to catch it; None if it survived them all."""
    with mutated(mutant):
        for runs, seed in enumerate(seeds, 1):
            try:
                run_seed(direct, seed)
            except Violation:
                return runs
    return None


def test_scripts_are_assembled_as_they_run() -> None:
    for script in scripts():
        assert assemble(script.name, edited(())) == assemble(script.name) == script.text


@guards
def test_the_guard_stands_where_it_is_removed(mutant: Mutant) -> None:
    check_found(mutant)


@guards
def test_a_missing_guard_is_noticed(direct: DirectRedis, mutant: Mutant) -> None:
    assert (
        runs_until_caught(direct, mutant, [CAUGHT_BY.get(mutant.guard, 0), *range(A_FEW)])
        is not None
    )


@pytest.mark.full
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("direct", EXECUTABLES, indirect=True)
def test_every_missing_guard_is_noticed_from_the_first_seed_on(
    direct: DirectRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    before = time.monotonic()
    needed = {mutant.guard: runs_until_caught(direct, mutant, range(MANY)) for mutant in MUTANTS}
    with capsys.disabled():
        print(f"\n{len(MUTANTS)} mutants in {time.monotonic() - before:.0f} s; runs to catch each:")
        for guard, runs in needed.items():
            print(f"  {guard}: {runs or 'survived'}")
    assert not [guard for guard, runs in needed.items() if runs is None]
