"""Whatever process is killed, frozen or cut off, and however often: every utterance that was
accepted ends in exactly one reply, skip or error, in order. Only what was planted ends in an error,
and each of them in its own.
"""

from pathlib import Path

import pytest

from ops.bench.chaos.plan import PLANTED, Plan
from ops.bench.chaos.run import Options, run


def quiet(line: str) -> None:
    print(line)


async def test_a_short_storm(tmp_path: Path) -> None:
    plan = Plan(
        utterances=200,
        sessions=15,
        seconds=10,
        seed=1,
        stt_poison=1,
        llm_poison=1,
        broken=2,
        cut_short=2,
        failing_sessions=1,
    )
    report = await run(Options(plan, max_deliveries=6), folder=tmp_path, show=quiet)
    assert report.findings.broken == []
    assert report.kept, report.as_dict()
    assert report.findings.accepted == 200
    assert report.findings.errors == plan.planted == 9
    assert report.findings.planted_errors.keys() == {kind.name.lower() for kind in PLANTED}
    assert report.faults.kills >= 5
    assert report.faults.redis_restarts >= 2
    assert report.faults.producer_kills >= 2


@pytest.mark.full
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_long_storm(tmp_path: Path, seed: int) -> None:
    plan = Plan(
        utterances=5_000,
        sessions=50,
        seconds=120,
        seed=seed,
        stt_poison=2,
        llm_poison=1,
        broken=10,
        cut_short=5,
        failing_sessions=2,
        failing_requests=3,
    )
    report = await run(Options(plan), folder=tmp_path, show=quiet)
    assert report.kept, report.as_dict()
    assert report.findings.errors == plan.planted == 43
    assert report.faults.kills >= 60
    assert report.faults.redis_restarts >= 2


@pytest.mark.full
async def test_a_storm_over_several_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_SHARDS", "5")
    plan = Plan(utterances=600, sessions=40, seconds=30, seed=4, stt_poison=1, broken=2)
    report = await run(Options(plan), folder=tmp_path, show=quiet)
    assert report.kept, report.as_dict()


@pytest.mark.full
async def test_a_storm_with_a_real_speech_model(tmp_path: Path) -> None:
    plan = Plan(utterances=60, sessions=6, seconds=60, seed=5, broken=2, noise_share=0)
    report = await run(
        Options(plan, engine="demo", claim_idle_s=3.0, stt_workers=2, faults=0.5),
        folder=tmp_path,
        show=quiet,
    )
    assert report.findings.lost == report.findings.duplicated == report.findings.out_of_order == 0
    assert report.findings.errors == plan.planted == 2
