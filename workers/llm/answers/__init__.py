"""Answers of a server, read byte by byte: records, text, thoughts, and how they ended."""
