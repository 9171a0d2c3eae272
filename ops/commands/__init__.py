"""One module for each `earshot` subcommand; `ops/cli.py` loads only the one that runs."""
