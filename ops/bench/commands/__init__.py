"""The subcommands of `earshot bench`."""
