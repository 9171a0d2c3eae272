"""The worker processes: the consumer loop, speech to text, and the LLM."""
