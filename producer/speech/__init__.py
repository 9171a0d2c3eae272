"""Telling speech from noise, and cutting it into utterances."""
