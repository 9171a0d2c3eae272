"""docs/monitoring.md lists every metric as it is defined, and names say their unit."""

import pytest

from ops.docs.metrics import PATH, list_rows, render

UNITS = ("_seconds", "_bytes", "_entries", "_utterances", "_workers", "_sessions")
STATES = (
    "earshot_redis_up",
    "earshot_speech_active",
    "earshot_muted",
    "earshot_breaker_state",
    "earshot_outbox_disk_up",
)


def test_the_committed_page_is_up_to_date() -> None:
    page = PATH.read_text(encoding="utf-8")
    assert page == render(page), "run: .venv/bin/python -m ops.docs.metrics"


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"monitoring\.md"):
        render("# Watching it run\n")


def test_every_name_says_what_it_counts() -> None:
    names = [row.name for row in list_rows()]
    assert len(names) == len(set(names))
    for row in list_rows():
        assert row.name.startswith("earshot_")
        if row.kind == "counter":
            assert row.name.endswith("_total")
        elif row.name not in STATES:
            assert row.name.endswith(UNITS), row.name
        assert row.text.endswith(".")
