"""Following the results stream."""
