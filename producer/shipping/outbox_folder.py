"""The folder of outboxes on a host: opening one, sweeping all, deleting an empty one.

`outbox.py` keeps a second process out of an outbox.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from common.errors import BadInput
from common.settings import ListenSettings
from producer.shipping.outbox import Outbox
from producer.shipping.outbox_metrics import report_dropped

BYTES_PER_MB: Final = 2**20

_SUFFIXES: Final = (".sqlite3", ".sqlite3-wal", ".sqlite3-shm", ".lock", ".draft")
"""The files of one outbox: SQLite's three, the lock of its process, the note of its draft."""


def open_outbox(settings: ListenSettings, session: str, folder: Path | None = None) -> Outbox:
    """Open a session's outbox with the limits of the settings, in `folder` or in their folder.

    Raises BadInput when the folder cannot be used, or another process uses this outbox (`Outbox`
    holds its lock).
    """
    return Outbox(
        settings.outbox_folder() if folder is None else folder,
        session,
        max_bytes=round(settings.outbox_max_mb * BYTES_PER_MB),
        max_age_s=settings.outbox_max_age_s,
    )


def list_sessions(folder: Path) -> list[str]:
    """Return the sessions that have an outbox in this folder, in order."""
    return sorted(path.stem for path in folder.glob("*.sqlite3"))


def close_outbox(outbox: Outbox) -> None:
    """Close an outbox, and delete its files when nothing is in it: parked utterances are kept.

    Raises BadInput when the folder cannot be used.
    """
    depth = outbox.depth()
    outbox.close()
    if not (depth.waiting or depth.parked):
        for suffix in _SUFFIXES:
            (outbox.folder / f"{outbox.session}{suffix}").unlink(missing_ok=True)


def sweep_outboxes(settings: ListenSettings) -> int:
    """Drop what is too old from every outbox that no process uses; return how many utterances.

    The dashboard's outboxes are swept as well: they lie in a folder inside this one.
    """
    return sum(
        _drop_stale(settings, session, folder)
        for folder in _folders(settings.outbox_folder())
        for session in list_sessions(folder)
    )


def _folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from sorted(path for path in folder.rglob("*") if path.is_dir())


def _drop_stale(settings: ListenSettings, session: str, folder: Path) -> int:
    try:
        with open_outbox(settings, session, folder) as outbox:
            dropped = outbox.drop_stale()
    except BadInput:  # a process uses it, and sweeps it itself
        return 0
    if dropped is None:
        return 0
    report_dropped(session, dropped)
    return dropped.count
