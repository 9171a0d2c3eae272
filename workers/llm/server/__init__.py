"""The LLM server: requests to it, and what its answers mean, whoever made it."""
