"""`earshot bench llm` compares medians of interleaved runs, and says when an order was broken."""

import json
import os
import subprocess
import time

import pytest
from click.testing import CliRunner

from ops.bench import llm as llm_bench
from ops.bench.commands.bench import command
from ops.bench.llm import LlmReport, Load, Run, cpu_ms


def measured(*, in_order: bool = True) -> LlmReport:
    runs = [
        Run(1, [8.0, 10.0], 1, True, 50.0),
        Run(64, [11.0, 12.0, 13.0], 63, True, 30.0),
        Run(1, [12.0, 10.0], 1, True, 70.0),
        Run(64, [18.0, 12.0, 33.0], 64, in_order, 45.0),
    ]
    return LlmReport(Load(repeats=2), runs, rss_mb=81.23)


def test_medians_over_all_turns_and_for_each_repeat() -> None:
    found = measured().as_dict()
    assert found["added_first_token_ms"]["1"]["median"] == 10.0
    assert found["added_first_token_ms"]["64"] == {"turns": 6, "median": 12.5, "p95": 29.2}
    assert found["ratio"] == 1.25
    assert found["ratio_per_repeat"] == [1.33, 1.64]
    assert found["worker_cpu_ms_per_turn"] == {"1": 30.0, "64": 12.5}
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
    assert "30.0 ms of the worker's CPU time with one session, and 12.5 ms with 64" in done.stdout
    assert "OUT OF ORDER" in done.stdout
    assert done.exit_code == 1


def test_the_cpu_time_of_a_process_grows_while_it_works() -> None:
    before_ms = cpu_ms(os.getpid())
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    assert cpu_ms(os.getpid()) - before_ms >= 180  # 200, of which a step may be missing
    assert cpu_ms(os.getpid()) / 1000 <= time.process_time() + 0.02


def test_a_process_that_is_gone_has_used_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert cpu_ms(process.pid) == 0
