"""`earshot bench llm` compares medians of interleaved runs, and says when an order was broken."""

import json

import pytest
from click.testing import CliRunner

from ops.bench import llm as llm_bench
from ops.bench.commands.bench import command
from ops.bench.llm import LlmReport, Load, Run


def measured(*, in_order: bool = True) -> LlmReport:
    runs = [
        Run(1, [8.0, 10.0], 1, True),
        Run(64, [11.0, 12.0, 13.0], 63, True),
        Run(1, [12.0, 10.0], 1, True),
        Run(64, [18.0, 12.0, 33.0], 64, in_order),
    ]
    return LlmReport(Load(repeats=2), runs, rss_mb=81.23)


def test_medians_over_all_turns_and_for_each_repeat() -> None:
    found = measured().as_dict()
    assert found["added_first_token_ms"]["1"]["median"] == 10.0
    assert found["added_first_token_ms"]["64"] == {"turns": 6, "median": 12.5, "p95": 29.2}
    assert found["ratio"] == 1.25
    assert found["ratio_per_repeat"] == [1.33, 1.64]
    assert (found["in_flight"], found["in_order"], found["worker_rss_mb"]) == (64, True, 81.2)


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def measure(load: Load, **_: object) -> LlmReport:
        asked.append(load)
        return measured(in_order=False)

    monkeypatch.setattr(llm_bench, "measure", measure)
    done = CliRunner().invoke(command, ["llm", "--json", "--seconds", "1", "--repeats", "2"])
    assert json.loads(done.stdout)["ratio"] == 1.25
    assert asked == [Load(repeats=2, seconds=1.0)]
    done = CliRunner().invoke(command, ["llm"])
    assert "1.25 times as much" in done.stdout
    assert "OUT OF ORDER" in done.stdout
    assert done.exit_code == 1
