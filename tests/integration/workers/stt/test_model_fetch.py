"""A model is fetched once and kept; where it cannot be had, one sentence says what to do.

Each case is a process of its own: huggingface_hub reads its environment when it is imported.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.workers.stt.model_hub import model_hub
from workers.stt.model_folder import locate

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens
LOAD = """
import sys
from common.errors import EarshotError
from common.telemetry.logs import set_up
from common.settings import LogSettings, SttSettings
from workers.stt.whisper import load
set_up(LogSettings())
try:
    whisper = load(SttSettings(model=sys.argv[1], models_dir=sys.argv[2], cpu_threads=1))
except EarshotError as error:
    print(type(error).__name__, error)
    sys.exit(1)
print("loaded", whisper.name, whisper.device)
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    """A hub with the bundled model under a well-known name, and one that is no model of ours."""
    demo = {path.name: path.read_bytes() for path in locate("demo").path.iterdir()}
    with model_hub(
        {
            "Systran/faster-whisper-tiny.en": demo,
            "openai/whisper-tiny": {"config.json": b"{}", "model.safetensors": b"-"},
        }
    ) as address:
        yield address


def load(
    model: str | Path, models_dir: Path, hub: str = NOWHERE, **environment: str
) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a process that loads a model."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(model), str(models_dir)],
        env=os.environ | {"HF_ENDPOINT": hub} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout.strip(), done.stderr


def test_a_model_is_fetched_once_and_then_used_without_a_network(hub: str, tmp_path: Path) -> None:
    status, said, log = load("tiny.en", tmp_path, hub)
    assert (status, said) == (0, "loaded tiny.en cpu int8_float32")
    assert "fetching_model" in log
    assert "%|" not in log  # no progress bar where there is no terminal
    status, said, log = load("tiny.en", tmp_path)
    assert (status, said) == (0, "loaded tiny.en cpu int8_float32")
    assert "fetching_model" not in log
    status, said, _ = load("tiny.en", tmp_path, HF_HUB_OFFLINE="1")
    assert status == 0


def test_a_hub_that_cannot_be_reached_gives_the_way_out(tmp_path: Path) -> None:
    status, said, _ = load("small.en", tmp_path)
    assert status == 1
    assert said.startswith(
        f"NoModel the model small.en is not on this machine, and {NOWHERE} cannot be reached"
    )
    assert "folder of a CTranslate2 Whisper model in EARSHOT_STT__MODEL" in said
    assert "EARSHOT_STT__MODEL=demo" in said
    assert "\n" not in said


def test_offline_mode_is_named_as_the_reason(tmp_path: Path) -> None:
    status, said, _ = load("small.en", tmp_path, HF_HUB_OFFLINE="1")
    assert status == 1
    assert "HF_HUB_OFFLINE forbids" in said
    assert "EARSHOT_STT__MODEL=demo" in said


def test_a_half_fetched_model_is_no_model(hub: str, tmp_path: Path) -> None:
    assert load("tiny.en", tmp_path, hub)[0] == 0
    (weights,) = tmp_path.rglob("snapshots/*/model.bin")
    weights.unlink()
    status, said, _ = load("tiny.en", tmp_path)
    assert status == 1
    assert "cannot be reached" in said
    status, said, _ = load("tiny.en", tmp_path, hub)
    assert (status, said) == (0, "loaded tiny.en cpu int8_float32")


def test_a_name_that_the_hub_does_not_know_is_said(hub: str, tmp_path: Path) -> None:
    status, said, _ = load("nobody/nothing", tmp_path, hub)
    assert status == 1
    assert "there is no model nobody/nothing at" in said


def test_a_model_of_another_kind_is_said(hub: str, tmp_path: Path) -> None:
    status, said, _ = load("openai/whisper-tiny", tmp_path, hub)
    assert status == 1
    assert "openai/whisper-tiny on the hub is no CTranslate2 model" in said


def test_a_place_that_takes_no_files_is_said(hub: str, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    status, said, _ = load("tiny.en", in_the_way, hub)
    assert status == 1
    assert "EARSHOT_STT__MODELS_DIR" in said


@pytest.mark.parametrize("weights", [b"", b"garbage" * 100, "cut short"])
def test_broken_weights_are_said(tmp_path: Path, weights: bytes | str) -> None:
    demo = locate("demo").path
    for path in demo.iterdir():
        content = path.read_bytes()
        if path.name == "model.bin":
            content = content[: len(content) // 2] if isinstance(weights, str) else weights
        (tmp_path / path.name).write_bytes(content)
    status, said, _ = load(tmp_path, tmp_path)
    assert status == 1
    assert f"{tmp_path} cannot be loaded (" in said
    assert "EARSHOT_STT__MODEL=demo" in said
    assert "\n" not in said
