"""Where audio comes from, other than a microphone, and how blocks become frames."""
