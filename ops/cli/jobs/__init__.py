"""Requesting, watching and listing jobs from the command line."""
