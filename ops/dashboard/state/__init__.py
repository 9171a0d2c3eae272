"""What the dashboard remembers, kept by one subscriber for all pages."""
