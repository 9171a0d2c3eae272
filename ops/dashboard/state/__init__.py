"""What the dashboard remembers: one subscriber for all pages."""
