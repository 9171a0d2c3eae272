"""Following the results and putting replies together."""
