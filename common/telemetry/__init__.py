"""Logs, metrics, traces, and the pages that say how a process is."""
