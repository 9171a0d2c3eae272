"""Logs, metrics, traces, and the pages on which a process tells how it is."""
