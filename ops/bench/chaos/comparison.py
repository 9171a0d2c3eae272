"""Runs with and without failing requests, which show whether these delay other sessions.

Both runs of a pair have the same seed, and so the same utterances and the same faults. In the run
without failing requests, these are ordinary speech. The first run of a pair is alternately of the
one and the other kind, so that a changing load of the machine favours neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from common.errors import BadInput
from ops.bench.chaos.results import ReplyTimes
from ops.bench.chaos.run import Options, Report, run
from ops.bench.progress import Show, show_on_stderr

MOST_RATIO: Final = 1.5
"""Median and p95 with failing requests may be this many times those without."""

PERCENTS: Final = {"median": 50, "p95": 95}


@dataclass(frozen=True, slots=True)
class Pair:
    """The reports of two runs, which differ only in the failing requests."""

    poisoned: Report
    clean: Report

    def as_dict(self) -> dict[str, Any]:
        runs = {"with": self.poisoned.as_dict(), "without": self.clean.as_dict()}
        return {"runs": runs, **_compare(self.poisoned.reply_times, self.clean.reply_times)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The pairs, and the reply times of all runs of each kind together."""

    pairs: Sequence[Pair]

    @property
    def poisoned(self) -> ReplyTimes:
        return _join([pair.poisoned for pair in self.pairs])

    @property
    def clean(self) -> ReplyTimes:
        return _join([pair.clean for pair in self.pairs])

    @property
    def kept(self) -> bool:
        """Whether all runs kept their promises, and failing requests delayed nobody else."""
        ratios = _ratios(self.poisoned, self.clean).values()
        runs = [run for pair in self.pairs for run in (pair.poisoned, pair.clean)]
        return all(run.kept for run in runs) and all(
            ratio is not None and ratio <= MOST_RATIO for ratio in ratios
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "pairs": [pair.as_dict() for pair in self.pairs],
            **_compare(self.poisoned, self.clean),
            "most_ratio": MOST_RATIO,
            "kept": self.kept,
        }


async def compare(
    options: Options, pairs: int, *, folder: Path | None = None, show: Show = show_on_stderr
) -> Comparison:
    """Make this many pairs of runs. Each run has its logs in a folder of its own in `folder`.

    Raises BadInput if every session holds a planted utterance, and what `run` raises.
    """
    if not options.plan.spared_sessions():
        raise BadInput("every session holds a planted utterance: take more sessions")
    clean = replace(options, plan=replace(options.plan, fails=False))
    done = []
    for number in range(1, pairs + 1):
        kinds = [("with", options), ("without", clean)]
        reports = {}
        for name, chosen in kinds if number % 2 else reversed(kinds):
            show(f"pair {number} of {pairs}, {name} failing requests")
            place = folder and folder / f"{number}-{name}"
            reports[name] = await run(chosen, folder=place, show=show)
        done.append(Pair(reports["with"], reports["without"]))
    return Comparison(done)


def _join(reports: Sequence[Report]) -> ReplyTimes:
    return ReplyTimes(tuple(time for report in reports for time in report.reply_times.times_ms))


def _compare(poisoned: ReplyTimes, clean: ReplyTimes) -> dict[str, Any]:
    times = {"with": poisoned.as_dict(), "without": clean.as_dict()}
    return {**times, **_ratios(poisoned, clean)}


def _ratios(poisoned: ReplyTimes, clean: ReplyTimes) -> dict[str, float | None]:
    """Return how many times as long people waited; None if nothing was answered."""
    ratios: dict[str, float | None] = {}
    for name, percent in PERCENTS.items():
        above, below = poisoned.percentile_ms(percent), clean.percentile_ms(percent)
        ratios[f"{name}_ratio"] = round(above / below, 3) if above is not None and below else None
    return ratios
