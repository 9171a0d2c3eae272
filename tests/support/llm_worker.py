"""What an LLM worker process may take."""

import sys
from typing import Final

MOST_MB: Final = 110 if sys.version_info >= (3, 14) else 100
"""Resident memory with 64 replies in progress, in MB (10^6 bytes). The same imports take 12 MB more
with Python 3.14."""
