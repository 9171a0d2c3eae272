"""Long recordings: through the STT pool, and into a file."""
