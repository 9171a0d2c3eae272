"""Utterances keep their true age in the outbox; what is too old or too much is dropped."""

from collections.abc import Callable

from producer.shipping.outbox import Outbox
from producer.storage.outbox_report import Dropped
from tests.support.outboxes import AUDIO, DAY, Clocks, add, make_utterance, take_all


def test_the_age_of_an_end_of_speech_grows_while_it_waits(outbox: Outbox, clocks: Clocks) -> None:
    outbox.add(make_utterance("a"), age_s=0.25)
    clocks.pass_(2)
    waiting = outbox.first()
    assert waiting is not None
    assert waiting.utterance.hold_ms == 2_250


# -- limits


def test_above_the_size_limit_the_oldest_go(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen(max_bytes=3 * len(AUDIO))
    assert add(outbox, "a", "b", "c") == [None, None, None]
    (dropped,) = add(outbox, "d")
    assert dropped is not None
    assert dropped.count == 1
    assert "MB" in dropped.why
    assert add(outbox, "e", audio=AUDIO * 2) == [Dropped(2, dropped.why)]
    assert take_all(outbox) == ["d", "e"]


def test_one_that_is_larger_than_the_limit_is_dropped_aloud(
    reopen: Callable[..., Outbox],
) -> None:
    outbox = reopen(max_bytes=len(AUDIO))
    add(outbox, "a")
    (dropped,) = add(outbox, "b", audio=AUDIO * 2)
    assert dropped is not None
    assert dropped.count == 2
    assert len(outbox) == 0


def test_above_the_age_limit_the_oldest_go_when_one_is_added(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    outbox = reopen(max_age_s=60)
    add(outbox, "a")
    clocks.pass_(30)
    add(outbox, "b")
    clocks.pass_(31)
    assert add(outbox, "c") == [Dropped(1, "older than 60 s")]
    assert take_all(outbox) == ["b", "c"]


def test_both_limits_at_once_are_told_in_one(reopen: Callable[..., Outbox], clocks: Clocks) -> None:
    outbox = reopen(max_age_s=60, max_bytes=2 * len(AUDIO))
    add(outbox, "a")
    clocks.pass_(30)
    add(outbox, "b")
    clocks.pass_(31)
    (dropped,) = add(outbox, "c", audio=AUDIO * 2)
    assert dropped is not None
    assert dropped.count == 2
    assert "older than 60 s, or more than" in dropped.why
    assert take_all(outbox) == ["c"]


def test_what_is_stale_goes_before_it_is_handed_out(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    """Redis remembers an utterance for longer than this; a staler one could be answered twice."""
    add(reopen(), "a")
    clocks.pass_(8 * DAY)
    outbox = reopen()
    assert outbox.drop_stale() == Dropped(1, "older than 604800 s")
    assert outbox.drop_stale() is None
    assert outbox.first() is None
