"""Recordings, each decoded in a process of its own: it may crash, and nothing else does."""
