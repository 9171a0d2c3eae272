"""Asking for jobs from the command line, and following them."""
