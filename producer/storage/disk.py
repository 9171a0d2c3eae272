"""The file of an outbox on a disk that may fail: full, broken, read-only, or locked by others.

A failure is logged once, and its end once. Meanwhile the disk is tried again with growing pauses,
and what lies on it is read as far as that is possible.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import structlog

from common.backoff import Backoff
from common.closeable import Closeable
from common.errors import BadInput
from common.latch import Latch
from producer.storage.boot_clock import BootClock
from producer.storage.disk_failure import (
    DiskError,
    explain_disk_failure,
    is_damage,
    is_unreadable,
    is_wrong_folder,
)
from producer.storage.lock import OutboxLock, gate
from producer.storage.outbox_file import OutboxFile
from producer.storage.salvage import finish_salvage, salvage

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
"""Pauses between two tries of a disk that failed. A try blocks for a second where it is locked."""

_UNREADABLE: Final = 4
"""After so many tries in vain, in about 7 s, what cannot be read is damage: it would be in the way
of all that is behind it."""

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class OutboxDisk(Closeable):
    """The file of one session's outbox, with its lock. Use it in one thread at a time.

    Opening raises BadInput where waiting does not help: the folder cannot be used, another process
    uses the outbox, or the file is not ours. All later failures are waited out.
    """

    def __init__(self, folder: Path, session: str, clock: BootClock) -> None:
        self._folder = folder
        self._session = session
        self._path = folder / f"{session}.sqlite3"
        self._clock = clock
        self._lock = OutboxLock(folder, session)
        self._file: OutboxFile | None = None
        self._fails = Latch(False)
        self._pauses = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, spread=None)
        self._due_s = 0.0
        self._unreadable = 0
        self._last_place = 0
        self.why = ""
        """Why the disk fails; empty if it does not."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        try:
            self._file = self._open()
        except DiskError as error:
            if is_wrong_folder(error):
                text = f"the outbox in {self._folder} cannot be used: {error}"
                raise BadInput(text) from None
            self._note_failure(error)
            self._open_to_read()

    def close(self) -> None:
        self._close_file()
        self._lock.close()

    @property
    def fails(self) -> bool:
        return self._fails.state

    @property
    def is_due(self) -> bool:
        """Whether the disk may be written: it works, or it is time to try it again."""
        return not self.fails or self._clock.elapsed() >= self._due_s

    @property
    def file(self) -> OutboxFile | None:
        """The file, if it could be opened; it may be one that can only be read."""
        return self._file

    def write(self, work: Callable[[OutboxFile], Answer]) -> Answer | None:
        """Do a work that writes, on the file that is open or on one that is opened for it.

        Return None if the disk fails. The work must change nothing but the file: it may be done
        once more.
        """
        was_failing = self.fails

        def attempt(file: OutboxFile) -> Answer:
            if was_failing:
                file.first()  # what cannot be read has not recovered
            return work(file)

        try:
            answer = self._do(attempt, again=was_failing)
        except (*DiskError, BadInput) as error:
            self._note_failure(error)
            return None
        self._note_success()
        return answer

    def read(self, work: Callable[[OutboxFile], Answer]) -> Answer | None:
        """Do a work that reads; return None if that is not possible now."""
        if self._file is None:
            return None
        try:
            return work(self._file)
        except DiskError as error:
            try:
                if not self._is_damage(error):
                    raise
                self._file = self._replace(error)
                return work(self._file)
            except (*DiskError, BadInput) as failure:
                self._note_failure(failure)
                return None

    def _do(self, work: Callable[[OutboxFile], Answer], *, again: bool) -> Answer:
        try:
            if self._file is None:
                self._file = self._open()
            return work(self._file)
        except DiskError as error:
            if self._is_damage(error):
                self._file = self._replace(error)
                return work(self._file)
            if not again:
                raise
        # a connection may not recover from what a new one does
        fresh = self._open()
        try:
            answer = work(fresh)
        except BaseException:
            fresh.close()
            raise
        self._close_file()
        self._file = fresh
        return answer

    # -- opening and replacing

    def _open(self) -> OutboxFile:
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._lock.is_held:
            with gate(self._folder):
                self._lock.take()
        finish_salvage(self._path)
        try:
            return OutboxFile(self._path, self._clock)
        except DiskError as error:
            if not is_damage(error):
                raise
            return self._replace(error)

    def _open_to_read(self) -> None:
        """Open the file as it is, so that what lies in it is sent though nothing can be written."""
        if self._lock.is_held and self._path.exists():
            with suppress(*DiskError, BadInput):
                self._file = OutboxFile(self._path, self._clock, read_only=True)

    def _replace(self, error: Exception) -> OutboxFile:
        """Replace a damaged file by a new one with all that can be read of it."""
        self._close_file()
        salvaged = salvage(self._path, last_place=self._last_place)
        log.error(
            "outbox_damaged",
            session=self._session,
            why=explain_disk_failure(error),
            utterances_saved=salvaged.utterances,
            kept_as=str(salvaged.kept_as),
        )
        self._unreadable = 0
        self._due_s = self._clock.elapsed()  # a new file could be written
        return OutboxFile(self._path, self._clock)

    def _close_file(self) -> None:
        if self._file is not None:
            self._last_place = max(self._last_place, self._file.last_place)
            self._file.close()
            self._file = None

    # -- failures

    def _is_damage(self, error: Exception) -> bool:
        is_lasting = is_unreadable(error) and self._unreadable >= _UNREADABLE
        return is_damage(error) or is_lasting

    def _note_failure(self, error: Exception) -> None:
        if self.is_due:  # else it is what the last try has found
            self._due_s = self._clock.elapsed() + self._pauses.next_pause()
            self._unreadable += is_unreadable(error)
        self.why = explain_disk_failure(error)
        if self._fails.change_to(True):
            log.error(
                "outbox_disk_failed",
                session=self._session,
                folder=str(self._folder),
                why=self.why,
                hint="what is heard is kept in memory, and written when the disk can be written",
            )

    def _note_success(self) -> None:
        self._pauses.reset()
        self._unreadable = 0
        self.why = ""
        if self._fails.change_to(False):
            log.info("outbox_disk_works_again", session=self._session)
