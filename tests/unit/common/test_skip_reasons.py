"""The scripts and the events name the same reasons for which a turn is skipped."""

import re
from typing import get_args

from common.events import SkipReason
from common.redis.script import read_file


def test_the_scripts_know_every_reason_to_skip_a_turn() -> None:
    (table,) = re.findall(r"local SKIP_REASONS = \{(.*?)\}", read_file("records"), re.DOTALL)
    assert set(re.findall(r"\w+(?= = 1)", table)) == set(get_args(SkipReason))
