"""A state is logged when it changes, and only then."""

from common.latch import Latch


def test_only_a_change_is_news() -> None:
    latch = Latch(False)
    assert [latch.change_to(state) for state in (False, True, True, False, True)] == [
        False,
        True,
        False,
        True,
        True,
    ]


def test_another_reason_is_news_too() -> None:
    latch = Latch("")
    assert latch.change_to("full")
    assert latch.change_to("away")
    assert not latch.change_to("away")
    assert latch.state == "away"
