"""The jobs other than `transcribe`: one module each."""
