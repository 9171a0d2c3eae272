"""`earshot bench chaos` prints one JSON object with what happened, and its status says whether the
promises were kept.
"""

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from ops.bench.chaos import run as module
from ops.bench.chaos.judge import Findings
from ops.bench.chaos.plan import Plan
from ops.bench.chaos.pool import Deaths
from ops.bench.chaos.results import ReplyTimes
from ops.bench.chaos.run import Options, Report
from ops.bench.chaos.storm import FaultCounts
from ops.bench.commands.bench import command

ASKED_FOR = """
accepted answered errors planted lost duplicated out_of_order kills stops redis_restarts
connection_cuts llm_outages merged seconds seed leftover_keys_without_ttl pending
"""


def report(**found: Any) -> Report:
    plan = Plan(utterances=100, sessions=5, seconds=3, seed=9, stt_poison=1)
    findings = Findings(accepted=100, answered=99, errors=1, **found)
    return Report(
        Options(plan),
        findings,
        FaultCounts(kills=7),
        Deaths(),
        True,
        12.34,
        ReplyTimes((40.0, 60.0)),
    )


def bench(monkeypatch: pytest.MonkeyPatch, judged: Report, *arguments: str) -> tuple[int, str]:
    async def run(*_: object, **__: object) -> Report:
        return judged

    monkeypatch.setattr(module, "run", run)
    done = CliRunner().invoke(command, ["chaos", *arguments])
    return done.exit_code, done.stdout


def test_a_good_run_is_one_object_and_status_0(monkeypatch: pytest.MonkeyPatch) -> None:
    status, printed = bench(monkeypatch, report(), "--json")
    told = json.loads(printed)
    assert status == 0
    assert set(ASKED_FOR.split()) <= told.keys()
    assert (told["accepted"], told["kills"], told["seed"], told["took_s"]) == (100, 7, 9, 12.3)


def test_a_broken_promise_is_status_1_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = report(lost=1, broken=["lost: chaos-7 was said and never heard"])
    assert bench(monkeypatch, judged, "--json")[0] == 1
    status, printed = bench(monkeypatch, judged)
    assert status == 1
    assert "1 lost" in printed
    assert "chaos-7 was said and never heard" in printed


def test_a_run_that_proves_nothing_is_status_1_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged = replace(report(), came_to_rest=False, deaths=Deaths(crashed=["llm-2 ended badly"]))
    status, printed = bench(monkeypatch, judged, "--json")
    assert status == 1
    crash, unrest = json.loads(printed)["broken"]
    assert crash == "llm-2 ended badly"
    assert "did not come to rest" in unrest
    status, printed = bench(monkeypatch, judged)
    assert "llm-2 ended badly" in printed
    assert "did not come to rest" in printed


@pytest.mark.full
def test_the_command_itself() -> None:
    options = {"--utterances": "60", "--seconds": "5", "--sessions": "6"}
    argv = [sys.executable, "-m", "ops.cli", "bench", "chaos", "--json"]
    for option, value in options.items():
        argv += [option, value]
    done = subprocess.run(argv, capture_output=True, timeout=170, check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 0, told
    assert told["accepted"] == 60
