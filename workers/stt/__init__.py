"""The STT worker: from audio to text."""
