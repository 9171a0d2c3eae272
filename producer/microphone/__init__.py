"""Capturing from a sound card."""
