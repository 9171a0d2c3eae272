"""The stand-in LLM: an OpenAI-compatible server without a model.

It answers with prepared jokes, at a speed that can be set. So earshot can be shown, tested and
measured on a machine without an LLM. Its answers, errors and streams have the form of vLLM's. It
never pretends that a model answers.

Start it with `python -m ops.demo.standin`. When it accepts requests, it prints one line to stdout:
READY and the base URL.
"""

from typing import Final

READY: Final = "stand-in LLM listening on "
"""The line that says that the server is ready begins with this."""

MODEL: Final = "stand-in"
"""The name of the model that it serves by default."""
