"""Subcommands that do one thing and end."""
