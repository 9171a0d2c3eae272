"""When a server wants to be asked again, by its headers or in its words."""

import pytest

from workers.llm.meanings.retry_times import retry_time


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 4.77s.", 4.77),
        ("Please try again in 7m12.5s. Need more?", 432.5),
        ("try again in 850ms", 0.85),
        ("Please retry in 34.07s.", 34.07),
        ("retry after 2 seconds", 2),
        ("wait for 3 minutes", 180),
        ("try again in 1h2m", 3720),
        ('"retryDelay": "34s"', 34),
        ("try again later", None),
        ("Limit 6000, Requested 6294", None),
    ],
)
def test_words(words: str, seconds: float | None) -> None:
    found = retry_time({}, words)
    assert found == (seconds if seconds is None else pytest.approx(seconds))


def test_headers_come_first() -> None:
    assert retry_time({"retry-after": "7"}, "try again in 3s") == 7
    assert retry_time({"retry-after-ms": "1500", "retry-after": "7"}) == 1.5
    assert retry_time({"retry-after": "soon"}, "try again in 3s") == 3
    assert retry_time({"retry-after": "-3"}) == 0
