"""No damaged recording of any format ends a process but its own decoder, or is more than one
sentence to whoever reads it; and no decoder takes more memory than its limit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.repository import ROOT

START_S: Final = 120.0
"""For the seeds and for a busy machine, on top of the run itself."""


def fuzz(*options: str, seconds: float = 0.0) -> dict[str, Any]:
    """Run the fuzzer in a process of its own; return its figures."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.recordings.media_fuzzer", *options],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # without threads it can fork
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the encoders of the seeds chat there
        timeout=seconds + START_S,
        check=False,
    )
    assert done.returncode in {0, 1}, f"it died: {done.returncode}"
    figures: dict[str, Any] = json.loads(done.stdout)
    assert figures["broken"] == []
    assert done.returncode == 0
    return figures


def test_damaged_recordings_end_in_sentences() -> None:
    figures = fuzz("--files", "600", "--seed", "1", "--forked", "--seeds")
    assert figures["files"] == 600
    assert figures["seeds"] > 100
    assert figures["seeds_read"] >= figures["seeds"] - 3, "the formats are read as such"
    assert figures["accepted"] > 100, "not all of them are refused for one reason"
    kinds = {"unknown format", "rate", "damaged at once", "damaged later", "no audio"}
    assert kinds <= figures["refused"].keys()


def test_so_they_do_in_decoders_that_start_afresh() -> None:
    figures = fuzz("--files", "40", "--seed", "2")
    assert figures["files"] == 40
    assert figures["accepted"] > 10
    assert len(figures["refused"]) > 2


@pytest.mark.full
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("how", [["--forked", "--seeds"], []], ids=["forked", "afresh"])
def test_they_do_for_as_long_as_one_likes(
    pytestconfig: pytest.Config, tmp_path: Path, how: list[str]
) -> None:
    seconds = pytestconfig.getoption("--fuzz-seconds") / 2
    seed = str(int.from_bytes(os.urandom(4), "big"))
    figures = fuzz("--seconds", str(seconds), "--seed", seed, *how, seconds=seconds)
    print(json.dumps(figures, ensure_ascii=False))
    assert figures["files"]
