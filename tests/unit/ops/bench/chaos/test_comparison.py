"""Runs with and without failing requests are made in turn, and compared by how long the others
waited."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.errors import BadInput
from ops.bench.chaos import comparison
from ops.bench.chaos.comparison import Comparison, compare
from ops.bench.chaos.judge import Findings
from ops.bench.chaos.plan import Plan
from ops.bench.chaos.pool import Deaths
from ops.bench.chaos.results import ReplyTimes
from ops.bench.chaos.run import Options, Report
from ops.bench.chaos.storm import FaultCounts
from ops.bench.commands.bench import command
from ops.bench.progress import show_nothing

PLAN = Plan(utterances=200, sessions=9, seconds=3, seed=9, broken=2, failing_sessions=1)


class Runs:
    """Stands in for the runs: `poisoned_ms` and `clean_ms` are how long a reply took in each."""

    def __init__(self, poisoned_ms: list[float], clean_ms: list[float]) -> None:
        self.times_ms = {True: poisoned_ms, False: clean_ms}
        self.made: list[tuple[Plan, Path | None]] = []
        self.findings = Findings()

    async def run(self, options: Options, *, folder: Path | None = None, **_: Any) -> Report:
        self.made.append((options.plan, folder))
        times = ReplyTimes(tuple(self.times_ms[options.plan.fails]))
        return Report(options, self.findings, FaultCounts(), Deaths(), True, 1.0, times)


def made_runs(monkeypatch: pytest.MonkeyPatch, poisoned: list[float], clean: list[float]) -> Runs:
    runs = Runs(poisoned, clean)
    monkeypatch.setattr(comparison, "run", runs.run)
    return runs


async def compared(pairs: int = 1, folder: Path | None = None) -> Comparison:
    return await compare(Options(PLAN), pairs, folder=folder, show=show_nothing)


async def test_the_kinds_take_turns_in_being_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = made_runs(monkeypatch, [1.0], [1.0])
    done = await compared(3, tmp_path)
    assert [plan.fails for plan, _ in runs.made] == [True, False, False, True, True, False]
    assert {replace(plan, fails=True) for plan, _ in runs.made} == {PLAN}
    assert len({folder for _, folder in runs.made}) == 6
    assert len(done.pairs) == 3


@pytest.mark.parametrize(
    ("poisoned", "clean", "ratios", "kept"),
    [
        ([100.0, 200.0, 300.0], [100.0, 200.0, 300.0], (1.0, 1.0), True),
        ([150.0], [100.0], (1.5, 1.5), True),
        ([151.0], [100.0], (1.51, 1.51), False),
        # only the slowest replies became slower
        ([100.0] * 9 + [1_000.0], [100.0] * 10, (1.0, 5.95), False),
        ([], [100.0], (None, None), False),
        ([100.0], [], (None, None), False),
    ],
)
async def test_a_ratio_above_the_limit_breaks_the_promise(
    monkeypatch: pytest.MonkeyPatch,
    poisoned: list[float],
    clean: list[float],
    ratios: tuple[float | None, float | None],
    kept: bool,
) -> None:
    made_runs(monkeypatch, poisoned, clean)
    done = await compared()
    printed = done.as_dict()
    assert (printed["median_ratio"], printed["p95_ratio"]) == ratios
    assert done.kept is printed["kept"] is kept


async def test_all_pairs_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run in which the machine was slow decides nothing alone."""
    runs = made_runs(monkeypatch, [100.0] * 3, [100.0] * 3)
    done = await compared(2)
    runs.times_ms[True] = [400.0]
    slow = (await compared(1)).pairs
    joined = Comparison([*done.pairs, *slow])
    assert [pair.as_dict()["median_ratio"] for pair in joined.pairs] == [1.0, 1.0, 4.0]
    assert joined.as_dict()["median_ratio"] == 1.0
    assert joined.as_dict()["with"]["count"] == 7


async def test_a_promise_broken_in_one_run_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = made_runs(monkeypatch, [100.0], [100.0])
    runs.findings = Findings(lost=1, broken=["lost: chaos-7 was said and never heard"])
    assert not (await compared()).kept


async def test_nothing_is_compared_where_every_session_holds_something_planted() -> None:
    plan = replace(PLAN, sessions=1)
    with pytest.raises(BadInput, match="more sessions"):
        await compare(Options(plan), 1, show=show_nothing)


@pytest.mark.parametrize(("poisoned_ms", "expected"), [(100.0, 0), (200.0, 1)])
def test_the_command_prints_all_runs_and_the_ratios(
    monkeypatch: pytest.MonkeyPatch, poisoned_ms: float, expected: int
) -> None:
    made_runs(monkeypatch, [poisoned_ms], [100.0])
    done = CliRunner().invoke(command, ["chaos", "--compare", "2", "--json"])
    printed = json.loads(done.stdout)
    assert done.exit_code == expected
    assert printed["median_ratio"] == printed["p95_ratio"] == poisoned_ms / 100
    for pair in printed["pairs"]:
        assert pair["runs"]["with"]["reply_times"]["median_ms"] == poisoned_ms
        assert pair["runs"]["without"]["reply_times"]["p95_ms"] == 100
        assert pair["median_ratio"] == poisoned_ms / 100
    done = CliRunner().invoke(command, ["chaos", "--compare", "2"])
    assert done.exit_code == expected
    assert f"{poisoned_ms:.0f} ms (median)" in done.stdout
    assert f"ratios are {poisoned_ms / 100} and" in done.stdout
    assert ("NOT KEPT" in done.stdout) is bool(expected)
