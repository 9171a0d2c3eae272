"""File names that both hosts of a job understand: the one that asks and the one that works."""

import os
from pathlib import Path

from common.errors import BadInput
from common.settings import JobSettings


def shared_name(path: Path, settings: JobSettings) -> str:
    """Return the name of a local file for a jobs worker.

    In the shared folder that is its path within the folder, elsewhere its whole path.
    """
    whole = _plain(path)
    if settings.folder and whole.is_relative_to(folder := _plain(Path(settings.folder))):
        return str(whole.relative_to(folder))
    return str(whole)


def local_path(name: str, settings: JobSettings) -> Path:
    """Return the path on this host of a file with that shared name.

    Raises BadInput if the name needs a shared folder and this host has none. On a host with a
    shared folder, raises it for every file outside: somebody who can write into a shared Redis must
    not reach all files of this host.
    """
    if not settings.folder:
        if Path(name).is_absolute():
            return _plain(Path(name))
        raise BadInput(
            f"{name} is a file in the shared folder of another host: set EARSHOT_JOBS__FOLDER"
            " where `earshot jobs` runs to where that folder is there"
        )
    folder = _plain(Path(settings.folder))
    path = _plain(folder / name)
    if not path.is_relative_to(folder):
        raise BadInput(
            f"{name} lies outside of {folder}, to which EARSHOT_JOBS__FOLDER confines the jobs: put"
            " it there (and set that folder where you ask, if it has another path there)"
        )
    return path


def _plain(path: Path) -> Path:
    """Return the path whole and without `..`; links stay: a link in the folder counts as inside."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links
