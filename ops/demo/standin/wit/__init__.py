"""The words of the stand-in: prepared jokes, a few facts, and what it finds in the conversation."""
