"""Audio that visitors send from the page."""
