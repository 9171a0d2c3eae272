"""With 64 conversations at once a turn costs the worker no more CPU time than with one, and each
conversation stays in order.

CPU time, because other work on the machine hardly changes it. The time until the first word grows
with that work; `earshot bench llm` shows it.
"""

import pytest

from ops.bench.llm import Load, measure
from tests.support.llm_worker import MOST_MB


@pytest.mark.full
async def test_each_of_64_conversations_costs_no_more_than_one_alone() -> None:
    # replies that take some seconds, so that 64 are in flight on a busy machine too
    report = await measure(Load(repeats=2, seconds=15, tokens_per_s=8))
    found = report.as_dict()
    assert found["in_order"]
    assert found["in_flight"] > 48, "they were not at once"
    assert found["worker_rss_mb"] < MOST_MB
    alone, together = found["worker_cpu_ms_per_turn"].values()
    assert 0 < together <= alone, found
