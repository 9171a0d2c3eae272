"""A dashboard with a token, and the words of a conversation that it must keep."""

from typing import Final

TOKEN: Final = "correct horse"
SECRET: Final = "nobody else may read this"
BEARER: Final = {"Authorization": f"Bearer {TOKEN}"}
