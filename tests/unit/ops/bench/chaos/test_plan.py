"""A seed tells everything that is said in a run, and what is wrong with it, before it begins."""

import random
from collections import Counter

import pytest

from common.audio import SAMPLE_RATE, decode
from common.errors import BadAudio
from ops.bench.chaos.plan import PLANTED, Kind, Plan
from ops.bench.chaos.speech import InstantEngine, make_utterance, read_number, spoken_text
from ops.bench.chaos.storm import AT_LEAST_ONCE, CALM_EDGES, PER_MINUTE, plan_faults
from workers.stt.engine import NO_HINTS

PLAN = Plan(
    utterances=500,
    sessions=20,
    seconds=60,
    seed=7,
    stt_poison=2,
    llm_poison=1,
    broken=3,
    cut_short=4,
)


def test_the_same_seed_makes_the_same_plan_and_another_one_does_not() -> None:
    again = Plan(**{name: getattr(PLAN, name) for name in PLAN.__slots__})
    assert again.draw_utterances() == PLAN.draw_utterances()
    assert again.cut_short_numbers() == PLAN.cut_short_numbers()
    other = Plan(utterances=500, sessions=20, seconds=60, seed=8)
    assert other.draw_utterances() != PLAN.draw_utterances()


def test_everything_is_said_in_time_and_in_order() -> None:
    said = PLAN.draw_utterances()
    times = [one.at_s for one in said]
    assert [one.number for one in said] == list(range(500))
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= PLAN.seconds
    assert {one.session for one in said} == {f"session-{index}" for index in range(20)}


def test_as_much_is_planted_as_was_asked_for_and_early() -> None:
    said = PLAN.draw_utterances()
    kinds = Counter(one.kind for one in said)
    assert (kinds[Kind.STT_POISON], kinds[Kind.LLM_POISON], kinds[Kind.BROKEN]) == (2, 1, 3)
    assert 0 < kinds[Kind.NOISE] < 50
    assert max(one.number for one in said if one.kind in PLANTED) < 250
    assert len(PLAN.cut_short_numbers()) == 4


@pytest.mark.parametrize("number", [0, 1, 29_999, 30_000, 1_234_567])
@pytest.mark.parametrize("kind", [Kind.SPEECH, Kind.NOISE, Kind.LLM_POISON])
def test_what_is_said_is_heard(number: int, kind: Kind) -> None:
    planned = PLAN.draw_utterances()[0].__class__(number, "s", 0.0, kind)
    said = make_utterance(planned, InstantEngine.name)
    samples = decode(said.audio, said.codec, said.rate, said.samples, max_samples=SAMPLE_RATE)
    assert read_number(samples) == (number, kind)
    heard = InstantEngine().transcribe(samples, NO_HINTS).text
    assert heard == ("" if kind is Kind.NOISE else spoken_text(number, kind))


def test_what_is_broken_cannot_be_decoded() -> None:
    planned = next(one for one in PLAN.draw_utterances() if one.kind is Kind.BROKEN)
    said = make_utterance(planned, InstantEngine.name)
    with pytest.raises(BadAudio):
        decode(said.audio, said.codec, said.rate, said.samples, max_samples=SAMPLE_RATE)


def test_two_minutes_have_the_deaths_that_they_are_to_have() -> None:
    storm = Counter(fault for _, fault in plan_faults(random.Random(1), 120))
    assert storm["kill_worker"] >= 60
    assert storm["kill_redis"] >= 2
    assert storm.keys() == PER_MINUTE.keys()


def test_a_short_storm_has_each_of_the_worst_once_and_calm_edges() -> None:
    storm = plan_faults(random.Random(1), 10)
    times = [at_s for at_s, _ in storm]
    assert set(AT_LEAST_ONCE) <= {fault for _, fault in storm}
    assert times == sorted(times)
    assert 10 * CALM_EDGES[0] <= times[0] <= times[-1] <= 10 * CALM_EDGES[1]
