"""Exporting events, counting how turns ended, replaying and dropping dead letters."""
