"""Running roles on this machine: signals, child processes, an embedded Redis server."""
