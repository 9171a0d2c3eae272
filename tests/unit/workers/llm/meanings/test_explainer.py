"""How a reply may end, and how names are put into a sentence."""

import pytest

from common.errors import Permanent, Transient
from workers.llm.meanings.explainer import Explainer, join_names

EXPLAINER = Explainer("http://llm:8000/v1")


def end(reason: str, *, has_text: bool = True, is_whole: bool = True) -> str:
    return EXPLAINER.check_end(reason, has_text=has_text, is_whole=is_whole)


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls"])
def test_a_reply_ends_with_these(reason: str) -> None:
    assert end(reason) == reason
    assert end(reason, has_text=False) == reason


@pytest.mark.parametrize("reason", ["abort", "error", "modelUnloaded", "user_cancelled"])
def test_a_fault_is_a_failed_attempt(reason: str) -> None:
    with pytest.raises(Transient) as raised:
        end(reason)
    assert not raised.value.opens_breaker
    assert raised.value.broke_off == (reason == "abort")


def test_no_reason_is_an_end_after_text_or_where_the_stream_was_ended() -> None:
    assert end("", is_whole=False) == "stop"
    assert end("", has_text=False) == "stop"
    with pytest.raises(Transient, match="without a finish reason"):
        end("", has_text=False, is_whole=False)


def test_a_reason_that_nobody_knows_needs_text() -> None:
    assert end("who_knows") == "stop"
    with pytest.raises(Transient, match="who_knows"):
        end("who_knows", has_text=False)


def test_a_content_filter_stops_it_for_good() -> None:
    with pytest.raises(Permanent, match="content filter"):
        end("content_filter")


def test_join_names() -> None:
    assert join_names([]) == "no model"
    assert join_names(["a", "b"]) == "a, b"
    assert join_names([str(n) for n in range(100)]).endswith("18, 19 and 80 more")
