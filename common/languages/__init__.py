"""The languages of Whisper, and what else they are called."""
