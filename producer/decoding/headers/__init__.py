"""What the bytes of a recording tell before a library reads it, and how they are mended."""
