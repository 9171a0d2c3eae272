"""Transcribing long recordings: the STT workers make their text, and a job writes the file."""
