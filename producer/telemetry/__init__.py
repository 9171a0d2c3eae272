"""What the producer counts."""
