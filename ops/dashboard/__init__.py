"""The web dashboard: what `earshot dashboard` serves."""
