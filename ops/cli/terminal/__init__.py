"""Terminal output and keys."""
