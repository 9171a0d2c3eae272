"""An LLM worker stays small: what belongs to other roles is not loaded by it, nor what exports
traces (redis-py itself loads the rest of OpenTelemetry where that is installed)."""

import subprocess
import sys

# redis-py loads parts of OpenTelemetry where it is installed; sending needs these two as well
HEAVY = {"numpy", "faster_whisper", "ctranslate2", "onnxruntime", "soundfile", "soxr", "av"}
HEAVY |= {"google", "requests"}
SCRIPT = """
import sys
from workers.llm.server.llm_server import LlmServer
from common.settings import LlmSettings
import workers.llm, workers.loop, ops.local.signals
LlmServer(LlmSettings()).warm()
print(*sys.modules)
"""


def test_nothing_of_other_roles_is_loaded() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "openai" in loaded
    assert "common.telemetry.otlp" not in loaded
    assert not HEAVY & {name.partition(".")[0] for name in loaded}
