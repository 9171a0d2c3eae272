"""How a reply may end, and how names are put into a sentence."""

import pytest

from common.errors import Permanent, Transient
from workers.llm.errors import Explainer, join_names

EXPLAINER = Explainer("http://llm:8000/v1")


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls"])
def test_a_reply_ends_with_these(reason: str) -> None:
    assert EXPLAINER.check_end(reason) == reason


@pytest.mark.parametrize("reason", ["abort", "error", "", None])
def test_any_other_end_is_a_failed_attempt(reason: str | None) -> None:
    with pytest.raises(Transient) as raised:
        EXPLAINER.check_end(reason)
    assert not raised.value.opens_breaker


def test_a_content_filter_stops_it_for_good() -> None:
    with pytest.raises(Permanent, match="content filter"):
        EXPLAINER.check_end("content_filter")


def test_join_names() -> None:
    assert join_names([]) == "no model"
    assert join_names(["a", "b"]) == "a, b"
    assert join_names([str(n) for n in range(100)]).endswith("18, 19 and 80 more")
