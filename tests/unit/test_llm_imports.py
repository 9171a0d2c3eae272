"""An LLM worker stays small: what belongs to other roles is not loaded by it, nor what exports
traces (redis-py itself loads the rest of OpenTelemetry where that is installed)."""

import subprocess
import sys

HEAVY = {"numpy", "faster_whisper", "ctranslate2", "onnxruntime", "soundfile", "soxr", "av",
         "starlette", "opentelemetry.exporter"}  # fmt: skip
SCRIPT = """
import sys
from workers.llm_server import LlmServer
from common.settings import LlmSettings
import workers.llm
LlmServer(LlmSettings()).warm()
print(*sys.modules)
"""


def test_nothing_of_other_roles_is_loaded() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "openai" in loaded
    assert not HEAVY & set(loaded)
