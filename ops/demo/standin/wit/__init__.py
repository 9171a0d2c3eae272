"""What the stand-in says: canned lines, a few facts, and the conversation read back."""
