"""The demo's own speech model and recording, and the scripts that made them."""
