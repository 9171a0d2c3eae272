"""Whisper base on real and synthetic recordings: `make test-real`, which fetches the model."""
