"""The jobs other than `transcribe`, a module for each."""
