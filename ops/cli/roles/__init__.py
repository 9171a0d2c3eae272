"""Subcommands that run a role until they are stopped."""
