"""The HTTP routes of the dashboard: one module for each part of the page."""
