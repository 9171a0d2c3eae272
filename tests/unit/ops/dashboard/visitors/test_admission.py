"""Places and bytes are given to as many as there is room for, and come back whole, in any order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.dashboard.visitors.admission import (
    KEEP_FREE,
    LARGEST_AT_ONCE,
    MAX_PLACES,
    STEP,
    Admission,
    Place,
    Refusal,
)

LARGEST = 3 * STEP


def admission(free: int = 10**12) -> Admission:
    return Admission(max_bytes=LARGEST, limit="3 MB", free=lambda: free)


def test_a_place_that_came_back_twice_is_one() -> None:
    every = admission()
    places = [every.admit() for _ in range(MAX_PLACES)]
    with pytest.raises(Refusal, match="visitors send already") as refused:
        every.admit()
    assert (refused.value.status, refused.value.retry_after_s > 0) == (429, True)
    for _ in range(2):
        places[0].close()
    every.admit()
    with pytest.raises(Refusal):
        every.admit()


def test_a_stated_size_is_reserved_before_a_byte_comes() -> None:
    every = admission()
    for _ in range(LARGEST_AT_ONCE):
        every.admit().reserve(LARGEST)
    last = every.admit()
    with pytest.raises(Refusal, match="take all room") as refused:
        last.reserve(1)
    assert refused.value.status == 503
    last.reserve(0)  # which is unknown
    with pytest.raises(Refusal, match="take all room"):
        last.write(1)
    with pytest.raises(Refusal, match="larger than 3 MB") as refused:
        last.reserve(LARGEST + 1)
    assert (refused.value.status, refused.value.retry_after_s) == (413, 0)


def test_the_last_bytes_of_the_disk_are_left_to_the_outboxes() -> None:
    every = admission(free=KEEP_FREE + 2 * STEP)
    first, second = every.admit(), every.admit()
    first.reserve(2 * STEP - 10)
    for attempt in (second.reserve, second.write):
        with pytest.raises(Refusal, match="the disk of the dashboard has no room") as refused:
            attempt(11)
        assert refused.value.status == 503
    second.reserve(10)
    second.write(10)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2 * LARGEST)), max_size=60))
def test_never_more_than_all_room_is_reserved(steps: list[tuple[int, int]]) -> None:
    every = admission()
    places: list[Place] = []
    for kind, size in steps:
        try:
            if kind == 0 or not places:
                places.append(every.admit())
            elif kind == 1:
                places.pop(size % len(places)).close()
            elif kind == 2:
                places[size % len(places)].reserve(size)
            else:
                places[size % len(places)].write(size // 8)
        except Refusal:
            pass
        assert sum(place.reserved for place in places) <= LARGEST_AT_ONCE * LARGEST
        assert all(place.written <= place.reserved <= LARGEST for place in places)
    for place in places:
        place.close()
    for _ in range(LARGEST_AT_ONCE):
        every.admit().reserve(LARGEST)
