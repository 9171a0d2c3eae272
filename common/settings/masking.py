"""Masking the password in a URL. `loading.py` beside it masks secret settings."""

import re
from typing import Final

MASK: Final = "********"


def mask_password(url: str) -> str:
    """Return a URL with its password masked; other texts as they are.

    One that was typed without its `://` has a password as well.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        if re.search(r"\s", url):
            return url
        scheme, rest = "", url
    rest = re.sub(r"([?&]password=)[^&#]*", rf"\1{MASK}", rest)
    credentials, at, host = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}{colon}{MASK if colon else ''}{at}{host}"
