"""The files that jobs read and write: where they may lie, and how they appear."""
