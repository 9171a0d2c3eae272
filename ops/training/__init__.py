"""Trains the demo's small Whisper on synthetic speech; see README.md beside it."""
