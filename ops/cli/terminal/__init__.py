"""What a person reads and types on a terminal."""
