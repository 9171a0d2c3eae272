"""What the LLM worker tries again, and with how much less, after a refusal of what it took."""

import pytest

from common.errors import Permanent
from workers.llm.handler import Scope
from workers.llm.meanings.errors import ContextTooLong, WindowFull


@pytest.mark.parametrize(
    ("scope", "refusal", "taken", "narrower"),
    [
        (Scope(4, 10), WindowFull("full"), 3, Scope(4, 0)),
        (Scope(4, 0), WindowFull("full"), 3, Scope(1, 0)),
        (Scope(4, 10), ContextTooLong("too long"), 3, Scope(1, 10)),
        (Scope(4, 10), Permanent("no"), 2, Scope(1, 10)),
        (Scope(4, 10), Permanent("no"), 1, None),
        (Scope(1, 0), WindowFull("full"), 1, None),
    ],
)
def test_history_goes_first_then_the_neighbours_then_nothing(
    scope: Scope, refusal: Permanent, taken: int, narrower: Scope | None
) -> None:
    assert scope.narrow(refusal, taken) == narrower
