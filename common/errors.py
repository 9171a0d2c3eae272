"""Everything that earshot raises on purpose, one small tree.

The message of each error is the sentence that a person reads: what is wrong and what to do
next. Whether a worker waits, buries or stops follows from the class alone.
"""


class EarshotError(Exception):
    """Something that earshot can explain in one sentence."""


class BadSetting(EarshotError):
    """A setting that cannot be used; the start is refused."""


class BadInput(EarshotError):
    """What a person handed in (a file, an argument) cannot be used."""


class BadAudio(BadInput):
    """Bytes that announce audio and are not."""


class NoMicrophone(EarshotError):
    """The input device that was asked for does not exist or cannot be opened."""


class NoModel(EarshotError):
    """The speech-to-text model cannot be had."""


class BadEntry(EarshotError):
    """A stream entry or event that does not follow the schema."""


class NewerSchema(BadEntry):
    """An entry or event that only a newer version of earshot reads rightly."""


class Refused(EarshotError):
    """Redis' side will never accept this utterance."""


class RedisUnusable(EarshotError):
    """Redis answers, but waiting does not help: wrong password, wrong settings, wrong server."""


class Transient(EarshotError):
    """The server is away or misconfigured, which time or a person can mend: wait, then again.

    `retry_after` is the server's own wish in seconds, if it stated one; `opens_breaker` says that
    the server is unusable for everybody, not only for this one request.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, opens_breaker: bool = True
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.opens_breaker = opens_breaker


class Permanent(EarshotError):
    """This entry can never succeed: it is buried at once, with this sentence."""


class Lost(EarshotError):
    """The claim on the entry in hand has passed to another worker; the result is void."""
