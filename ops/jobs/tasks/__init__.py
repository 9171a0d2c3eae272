"""The jobs other than `transcribe`, each in a module."""
