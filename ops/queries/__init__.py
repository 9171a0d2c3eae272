"""Reading and changing what Redis keeps: exporting events, counting turns, dead letters."""
