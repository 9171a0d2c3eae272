"""The ledger tells of each request what it said, when, and how it ended; never the key."""

from __future__ import annotations

from ops.demo.standin.ledger import Ledger


class Clock:
    """A clock that goes on by 1 s with each look at it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_times_are_ms_since_the_start() -> None:
    ledger = Ledger(monotonic=Clock())
    entry = ledger.arrive({})
    ledger.token(entry, "a", 1)
    ledger.token(entry, "bc", 2)
    ledger.end(entry)

    assert (entry.started_ms, entry.first_token_ms, entry.ended_ms) == (1000, 2000, 3000)
    assert (entry.tokens, entry.reply) == (3, "abc")


def test_only_the_first_end_counts() -> None:
    ledger = Ledger(monotonic=Clock())
    entry = ledger.arrive({})
    ledger.end(entry)
    ended_ms = entry.ended_ms
    ledger.end(entry, aborted=True)

    assert entry.ended_ms == ended_ms
    assert not entry.aborted


def test_the_last_requests_are_kept_and_all_are_counted() -> None:
    ledger = Ledger(keep=2)
    for _ in range(3):
        ledger.end(ledger.arrive({}))

    listing = ledger.listing()
    assert [entry.number for entry in listing.requests] == [2, 3]
    assert (listing.total, listing.active, listing.peak_active) == (3, 0, 1)


def test_the_peak_is_the_most_at_once() -> None:
    ledger = Ledger()
    first, second = ledger.arrive({}), ledger.arrive({})
    ledger.end(first)
    ledger.arrive({})

    assert (ledger.listing().active, ledger.listing().peak_active) == (2, 2)
    ledger.end(second)
    ledger.clear()
    assert (ledger.listing().active, ledger.listing().peak_active) == (1, 1)
    assert (ledger.listing().total, ledger.listing().requests) == (0, [])


def test_numbers_go_on_after_clearing() -> None:
    ledger = Ledger()
    ledger.arrive({})
    ledger.clear()

    assert ledger.arrive({}).number == 2


def test_harmless_headers_are_kept_and_no_others() -> None:
    entry = Ledger().arrive({"traceparent": "00-a-b-01", "authorization": "Bearer secret"})

    assert entry.headers == {"traceparent": "00-a-b-01"}


def test_a_body_is_messages_and_the_rest() -> None:
    ledger = Ledger()
    entry = ledger.arrive({})
    ledger.describe(entry, {"messages": [{"role": "user"}], "model": "m", "top_k": 3})

    assert entry.messages == [{"role": "user"}]
    assert entry.params == {"model": "m", "top_k": 3}
