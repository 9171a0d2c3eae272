"""The cookie of somebody who has logged in: a date and its signature.

The key of the signature is random and stays on this host. So a cookie cannot be used to guess the
token, and whoever has logged in is never slowed down by those who guess.
"""

import hashlib
import hmac
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Final

import structlog

COOKIE_AGE_S: Final = 30 * 86_400
"""A month: nobody likes to log in more often."""

KEY_BYTES: Final = 32
"""As many as the digest has (RFC 2104, section 3)."""

log = structlog.get_logger(__name__)


class LoginCookies:
    """Makes and checks the cookies of one dashboard.

    Its `name` holds the port, because cookies ignore ports: two dashboards on one host must not log
    each other out. Another token makes every cookie void.
    """

    def __init__(
        self, token: bytes, key: bytes, *, port: int, wall: Callable[[], float] = time.time
    ) -> None:
        self.name = f"earshot_{port}"
        self._key = hmac.digest(key, token, hashlib.sha256)
        self._wall = wall

    def make(self) -> str:
        """Make the value of a new cookie."""
        return self._sign(str(round(self._wall()) + COOKIE_AGE_S))

    def is_valid(self, cookie: str) -> bool:
        """Tell whether a cookie was made here, for this token, and is not too old."""
        expires, _, _ = cookie.partition(".")
        if not (expires.isascii() and expires.isdigit() and len(expires) < 16):
            return False
        return hmac.compare_digest(cookie.encode(), self._sign(expires).encode()) and (
            int(expires) > self._wall()
        )

    def _sign(self, expires: str) -> str:
        digest = hmac.new(self._key, f"earshot {expires}".encode(), hashlib.sha256).hexdigest()
        return f"{expires}.{digest}"


def load_key(file: Path) -> bytes:
    """Return the key in a file, which is made if there is none, for this user only.

    Where no file can be made the key is a new one: then a restart logs everybody out.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            _make(file)
        key = file.read_bytes()
    except OSError as error:
        log.info("logins_end_with_this_process", file=str(file), why=error.strerror)
        return os.urandom(KEY_BYTES)
    if len(key) == KEY_BYTES:
        return key
    log.warning("logins_end_with_this_process", file=str(file), why="it holds no key: delete it")
    return os.urandom(KEY_BYTES)


def _make(file: Path) -> None:
    """Make the file with all of its content at once; raises FileExistsError if it is there."""
    descriptor, part = mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(os.urandom(KEY_BYTES))
        os.link(part, file)
    finally:
        os.unlink(part)  # noqa: PTH108  # mkstemp's name is a text
