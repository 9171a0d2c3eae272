"""Child processes of one command, and a Redis server of its own."""
