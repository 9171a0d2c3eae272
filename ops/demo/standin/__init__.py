"""The stand-in LLM: an OpenAI-compatible server that is no model.

It answers with canned wit at a settable speed, so that earshot can be shown,
tested and measured on a machine without an LLM. Its answers, errors and
streams have the shapes of vLLM's; what it says never pretends to be a model's.

Start it with ``python -m ops.demo.standin``. When it takes requests it prints one
line to stdout: `READY` and then the base URL.
"""

from typing import Final

READY: Final = "stand-in LLM listening on "
"""What the line begins with that says that the server is ready."""

MODEL: Final = "stand-in"
"""The model name that it serves unless told otherwise."""
