"""Requests that always fail are planned in sessions of their own, and a run without them differs in
nothing else."""

from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from common.audio import decode
from common.errors import Transient
from ops.bench.chaos.plan import (
    ERRORS,
    FAILING,
    FAILING_PREFIX,
    FOLLOWING,
    LLM_FAULTS,
    PLANTED,
    WORDS,
    Kind,
    Plan,
    stand_in_knobs,
)
from ops.bench.chaos.speech import InstantEngine, make_utterance, spoken_text
from ops.bench.commands.bench_chaos import _make_plan
from ops.demo.standin.faults import Control
from workers.stt.engine import NO_HINTS

PLAN = Plan(
    utterances=300,
    sessions=12,
    seconds=60,
    seed=5,
    stt_poison=2,
    llm_poison=1,
    broken=3,
    cut_short=4,
    failing_sessions=2,
    failing_requests=3,
)


def test_each_kind_fails_as_often_as_was_asked_for() -> None:
    said = PLAN.draw_utterances()
    kinds = Counter(one.kind for one in said)
    assert {kinds[kind] for kind in FAILING} == {6}
    assert len(said) == 300
    assert sum(kinds[kind] for kind in PLANTED) == PLAN.planted == 6 + 5 * 6


def test_a_failing_session_holds_one_kind_and_ordinary_speech_after_each() -> None:
    sessions = defaultdict(list)
    for one in PLAN.draw_utterances():
        if one.session.startswith(FAILING_PREFIX):
            sessions[one.session].append(one.kind)
    assert len(sessions) == 2 * len(FAILING)
    for kinds in sessions.values():
        assert kinds[0] in FAILING
        assert kinds[-1] is Kind.SPEECH
        assert set(kinds) == {kinds[0], Kind.SPEECH}
        assert kinds.count(Kind.SPEECH) == FOLLOWING * kinds.count(kinds[0]) == FOLLOWING * 3


def test_failing_requests_are_in_no_other_session_and_early() -> None:
    said = PLAN.draw_utterances()
    failing = [one for one in said if one.kind in FAILING]
    assert all(one.session.startswith(FAILING_PREFIX) for one in failing)
    assert max(one.at_s for one in failing) < PLAN.seconds / 2
    assert [one.number for one in said] == list(range(300))
    assert [one.at_s for one in said] == sorted(one.at_s for one in said)
    assert said[-1].at_s < PLAN.seconds


def test_without_them_everything_else_is_the_same() -> None:
    clean = replace(PLAN, fails=False)
    assert clean.draw_utterances() == [
        replace(one, kind=Kind.SPEECH) if one.kind in FAILING else one
        for one in PLAN.draw_utterances()
    ]
    assert clean.cut_short_numbers() == PLAN.cut_short_numbers()
    assert clean.spared_sessions() == PLAN.spared_sessions()
    assert clean.all_sessions == PLAN.all_sessions
    assert clean.planted == 6


def test_spared_sessions_hold_nothing_planted() -> None:
    spared = PLAN.spared_sessions()
    hit = {one.session for one in PLAN.draw_utterances() if one.kind in PLANTED}
    assert spared
    assert spared.isdisjoint(hit)
    assert spared | hit == set(PLAN.all_sessions)
    assert not any(session.startswith(FAILING_PREFIX) for session in spared)


def test_newer_speech_never_ends_a_reply_before_it_fails() -> None:
    failing = [name for name in PLAN.all_sessions if name.startswith(FAILING_PREFIX)]
    assert not any(Plan.interrupts(name) for name in failing)
    assert any(Plan.interrupts(name) for name in PLAN.all_sessions)


def test_each_planted_kind_has_an_error_and_the_stand_in_fails_at_its_questions_only() -> None:
    assert ERRORS.keys() == PLANTED
    control = Control(only_for=stand_in_knobs())
    for kind in Kind:
        knobs = control.for_request(spoken_text(7, kind))
        assert (knobs.fail is not None or knobs.has_reply_fault) == (kind in LLM_FAULTS)
    words = list(WORDS.values())
    assert not any(a in b for a in words for b in words if a != b)
    assert not any(word in spoken_text(7) for word in words)


def test_the_engine_lacks_memory_for_what_is_to_fail_in_it() -> None:
    planned = next(one for one in PLAN.draw_utterances() if one.kind is Kind.STT_FAILURE)
    utterance = make_utterance(planned, InstantEngine.name)
    samples = decode(
        utterance.audio, utterance.codec, utterance.rate, utterance.samples, max_samples=16_000
    )
    with pytest.raises(Transient, match=ERRORS[Kind.STT_FAILURE].sentence):
        InstantEngine().transcribe(samples, NO_HINTS)


@pytest.mark.parametrize("utterances", [20, 60, 1_500, 5_000, 50_000])
@pytest.mark.parametrize("seconds", [1.0, 60.0, 120.0, 86_400.0])
def test_the_command_says_as_many_utterances_as_it_is_told(utterances: int, seconds: float) -> None:
    plan = _make_plan(utterances, 50, seconds, 1, instant=True)
    said = plan.draw_utterances()
    assert len(said) == utterances
    assert {one.kind for one in said} >= PLANTED
    ordinary = [one for one in said if not one.session.startswith(FAILING_PREFIX)]
    assert len(ordinary) >= utterances / 4


def test_a_real_speech_model_hears_no_failing_requests() -> None:
    """They are known by a number in the audio, which real models do not read."""
    said = _make_plan(500, 10, 60, 1, instant=False).draw_utterances()
    assert {one.kind for one in said} == {Kind.SPEECH, Kind.BROKEN}
