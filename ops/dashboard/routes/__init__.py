"""The HTTP routes of the dashboard, a module for each part of the page."""
