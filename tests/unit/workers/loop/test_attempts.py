"""Every reason for which an entry is buried has its name, and its series from the start."""

from typing import Any, get_args

import pytest
from prometheus_client import REGISTRY

from common.errors import BadAudio, BadEntry, NewerSchema, Permanent, Refused
from workers.loop import metrics
from workers.loop.attempts import _reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Permanent("never"), "permanent"),
        (BadAudio("no audio"), "bad_audio"),
        (BadEntry("no entry"), "bad_entry"),
        (NewerSchema("of tomorrow"), "newer_schema"),
        (Refused("a foreign key is in the way"), "refused"),
    ],
)
def test_the_reason(error: Any, reason: str) -> None:
    assert _reason(error) == reason


def test_every_reason_has_a_series_before_its_first_burial() -> None:
    metrics.begin("stt")
    for reason in get_args(metrics.BurialReason):
        labels = {"stage": "stt", "reason": reason}
        assert REGISTRY.get_sample_value("earshot_dead_letters_total", labels) is not None
