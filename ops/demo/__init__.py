"""The bundled recording, and the stand-in for the LLM. `ops/cli/roles/demo.py` plays the demo."""
