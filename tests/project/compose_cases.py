"""Roles, overrides and environments with which the tests read the Compose files."""

from pathlib import Path
from typing import Final

from tests.support.compose_file import MIC_HOST, SECURE

ROLES: Final = ("stt", "llm", "jobs", "dashboard", "listen")
ELSEWHERE: Final = {"EARSHOT_REDIS__URL": "rediss://server:6379/0"}
OVERRIDES: Final[list[tuple[Path, ...]]] = [(), (SECURE,), (MIC_HOST,), (SECURE, MIC_HOST)]
CHANGED: Final = {
    "STT_REPLICAS": "5",
    "LLM_REPLICAS": "3",
    "EARSHOT_REDIS__URL": "rediss://elsewhere:6380/1",
    "EARSHOT_REDIS__PASSWORD": "secret",
    "EARSHOT_SHARDS": "4",
    "EARSHOT_LOG__LEVEL": "debug",
    "EARSHOT_STT__MODEL": "large-v3",
    "EARSHOT_STT__DEVICE": "cuda",
    "EARSHOT_STT__COMPUTE_TYPE": "float16",
    "EARSHOT_LLM__BASE_URL": "https://elsewhere/v1",
    "EARSHOT_LLM__MODEL": "mistral",
    "EARSHOT_LLM__API_KEY": "key",
    "EARSHOT_JOBS__SUMMARIES": "True",
    "EARSHOT_JOBS__REDIS_URL": "redis://elsewhere:6379/2",
    "EARSHOT_DASHBOARD__TOKEN": "token",
    "EARSHOT_DASHBOARD__ORIGINS": "https://wall.example",
    "EARSHOT_LISTEN__SESSION": "kitchen",
    "EARSHOT_LISTEN__DEVICE": "usb",
    "EARSHOT_LISTEN__PRESET": "dictation",
    "STT_GPU_REPLICAS": "2",
    "VLLM_MODEL": "some/model",
    "VLLM_FLAGS": "--quantization gptq_marlin --max-model-len 4096",
    "VLLM_GPUS": "all",
    "STOP_GRACE_PERIOD": "90s",
}
