"""The part of the OpenAI API that the stand-in speaks."""
