"""The consumer loop that STT and LLM workers share."""
