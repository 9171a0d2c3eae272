"""The folder of outboxes on a host: opening one, sweeping all, deleting an empty one.

`outbox.py` keeps a second process out of an outbox.
"""

from pathlib import Path
from typing import Final

import structlog

from common.errors import BadInput
from common.keys import SESSION_ID
from common.settings import ListenSettings
from producer.shipping.outbox import Outbox
from producer.shipping.outbox_metrics import report_dropped
from producer.storage.boot_clock import BootClock, host_clock
from producer.storage.database import is_empty, is_outbox
from producer.storage.disk_failure import DiskError, explain_disk_failure
from producer.storage.lock import InUse, OutboxLock, gate
from producer.storage.outbox_file import OutboxFile
from producer.storage.outbox_report import Dropped

BYTES_PER_MB: Final = 2**20

VISITORS: Final = "dashboard"
"""The folder of the dashboard's outboxes, inside that of the host's."""

_SUFFIX: Final = ".sqlite3"

_DELETED: Final = (".draft", ".sqlite3-wal", ".sqlite3-shm", ".sqlite3", ".lock")
"""The files of one outbox: the note of its draft, SQLite's three, the lock of its process."""

log = structlog.get_logger(__name__)


def open_outbox(settings: ListenSettings, session: str, folder: Path | None = None) -> Outbox:
    """Open a session's outbox with the limits of the settings, in `folder` or in their folder.

    Raises BadInput when the folder cannot be used, or another process uses this outbox.
    """
    return Outbox(
        settings.outbox_folder() if folder is None else folder,
        session,
        max_bytes=round(settings.outbox_max_mb * BYTES_PER_MB),
        max_age_s=settings.outbox_max_age_s,
    )


def list_sessions(folder: Path) -> list[str]:
    """Return the sessions that have an outbox in this folder, in order.

    Other files are only looked at: neither their names nor their endings make them outboxes.
    """
    sessions = {path.name.removesuffix(_SUFFIX): path for path in folder.glob(f"*{_SUFFIX}")}
    return sorted(name for name in sessions if SESSION_ID.match(name) and is_outbox(sessions[name]))


def close_outbox(outbox: Outbox) -> None:
    """Close an outbox, and delete its files when nothing is in it: parked utterances are kept.

    Raises BadInput when the folder cannot be used.
    """
    outbox.close()
    lock, path = OutboxLock(outbox.folder, outbox.session), outbox.folder / outbox.session
    try:
        # behind the gate, and only what nobody has opened or filled meanwhile
        with gate(outbox.folder), lock:
            lock.take()
            if is_empty(path.with_name(path.name + _SUFFIX)):
                for suffix in _DELETED:
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
    except InUse:
        pass
    except DiskError as error:
        why = explain_disk_failure(error)
        raise BadInput(f"the outbox in {outbox.folder} cannot be deleted: {why}") from None


def sweep_outboxes(settings: ListenSettings, clock: BootClock | None = None) -> int:
    """Drop what is too old from every outbox that no process uses; return how many utterances.

    Nothing else in the folder is touched. The dashboard's outboxes are swept as well.
    """
    folder = settings.outbox_folder()
    return sum(
        _sweep(place, session, settings.outbox_max_age_s, clock or host_clock())
        for place in (folder, folder / VISITORS)
        for session in list_sessions(place)
    )


def _sweep(folder: Path, session: str, max_age_s: float, clock: BootClock) -> int:
    lock = OutboxLock(folder, session)
    path = folder / f"{session}{_SUFFIX}"
    try:
        # The gate is held for as long as the lock is. So a producer that starts waits for the gate,
        # and never finds that its outbox is in use.
        with gate(folder, wait_s=0) as is_open, lock:
            if not is_open:
                return 0  # somebody starts, and sweeps it
            lock.take()
            dropped = _drop_stale(path, max_age_s, clock)
    except InUse:
        return 0  # its producer sweeps it
    except (BadInput, *DiskError) as error:
        why = explain_disk_failure(error)
        log.warning("outbox_not_swept", session=session, folder=str(folder), why=why)
        return 0
    if dropped:
        report_dropped(session, Dropped(dropped, f"older than {max_age_s:.0f} s"))
    return dropped


def _drop_stale(path: Path, max_age_s: float, clock: BootClock) -> int:
    if is_empty(path):
        return 0
    # its clock goes on even if nothing is stale yet: a reboot must not make it stand still for ever
    with OutboxFile(path, clock) as file:
        stale = file.find_stale(max_age_s)
        dropped = file.delete_parked(max_age_s)
        if stale:
            with file.writing():
                dropped += sum(map(file.delete, stale))
        return dropped
