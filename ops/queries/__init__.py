"""Reading results and dead letters for commands."""
