"""The errors that earshot raises on purpose, as one small tree.

A person reads the message of each error: one sentence that says what is wrong and what to do
next. Its class, and the fields of a Transient, decide whether a worker waits, buries the
entry or stops; the message never does.
"""

import re
from typing import Final

_HALF: Final = re.compile("[\ud800-\udfff]")

_BYTE: Final = range(0xDC80, 0xDD00)
"""The halves that stand for the bytes 0x80 to 0xFF."""


def to_printable(text: str) -> str:
    r"""Return a text with each byte that is no UTF-8 as an escape, `\xfc`.

    Other halves of surrogate pairs become a `?`.
    """
    return _HALF.sub(_escape, text)


def _escape(half: re.Match[str]) -> str:
    code = ord(half[0])
    return f"\\x{code - 0xDC00:02x}" if code in _BYTE else "?"


class EarshotError(Exception):
    """An error that earshot can explain in one sentence."""

    def __str__(self) -> str:
        return to_printable(super().__str__())  # the sentence may hold the name of a file


class BadSetting(EarshotError):
    """A setting that cannot be used. The process does not start."""


class BadInput(EarshotError):
    """A file or an argument from a person that cannot be used."""


class BadAudio(BadInput):
    """Bytes that should be audio and are not."""


class NoMicrophone(EarshotError):
    """The chosen input device does not exist or cannot be opened."""


class NoModel(EarshotError):
    """The speech-to-text model cannot be found, fetched or loaded."""


class BadEntry(EarshotError):
    """A stream entry or event that does not follow the schema."""


class NewerSchema(BadEntry):
    """An entry or event that only a newer version of earshot can read."""


class Refused(EarshotError):
    """The scripts in Redis will never accept this utterance, however often it is sent."""


class RedisUnusable(EarshotError):
    """Redis answers, but waiting does not help: wrong password, wrong settings, wrong server."""


class Transient(EarshotError):
    """A try failed, and a later one may succeed.

    `retry_after` is how long the server asked to wait, in s, if it did. With `opens_breaker` the
    error is not about the request: the server is away or misconfigured for everybody. With
    `broke_off` the server gave no answer, and what broke it may have been another request.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        opens_breaker: bool = True,
        broke_off: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.opens_breaker = opens_breaker
        self.broke_off = broke_off


class Busy(Transient):
    """The server works, and takes no more requests now. The request is not to blame."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after, opens_breaker=False)


class Misconfigured(Transient):
    """A setting is at fault, for some requests only. The request waits until it is mended."""

    def __init__(self, message: str) -> None:
        super().__init__(message, opens_breaker=False)


class Permanent(EarshotError):
    """This entry can never succeed. The worker buries it at once, with this message."""


class Lost(EarshotError):
    """Another worker has the claim on the entry in hand. The result is discarded."""
