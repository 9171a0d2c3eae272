"""Reading what Redis keeps: backlog, workers, sessions, entries in hand, dead letters."""
