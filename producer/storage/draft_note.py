"""The note of the one utterance that may be in Redis as a draft: `SESSION.draft`.

It is not synchronised to disk: a killed process loses nothing of it. After a power cut the draft's
turn ends later, by its timeout.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from common.errors import BadInput
from common.keys import UTTERANCE_ID

_LONGEST: Final = 200
"""Bytes: longer than every utterance's id."""

log = structlog.get_logger(__name__)


class DraftNote:
    """The note of one session, on a disk that may fail."""

    def __init__(self, folder: Path, session: str) -> None:
        self._path = folder / f"{session}.draft"
        self._session = session
        self._written = ""  # by this process

    def write(self, utterance: str) -> None:
        """Note an utterance in place of the one before, which has ended by now.

        Raises BadInput when the disk takes no note.
        """
        if utterance != self._written:
            try:
                self._path.write_text(utterance, encoding="ascii")
            except OSError as error:
                raise BadInput(
                    f"the outbox in {self._path.parent} cannot be used: {error}"
                ) from None
            self._written = utterance

    def read(self) -> str:
        """Return the utterance that an earlier process noted; empty if there is none."""
        try:
            with self._path.open("rb") as file:
                noted = file.read(_LONGEST).decode("ascii", "replace")
        except FileNotFoundError:
            return ""
        except OSError as error:  # the turn will end by its timeout
            log.warning("draft_left_open", session=self._session, why=str(error))
            return ""
        return noted if noted != self._written and UTTERANCE_ID.match(noted) else ""

    def delete(self) -> None:
        """Delete the note, if the disk lets us: to end the same draft once more does no harm."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
