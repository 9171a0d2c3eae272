"""The LLM worker: from turns to replies."""
