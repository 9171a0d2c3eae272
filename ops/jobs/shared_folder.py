"""Files as the asking host and the working host both name them."""

import os
from pathlib import Path

from common.errors import BadInput
from common.settings import JobSettings


def shared_name(path: Path, settings: JobSettings) -> str:
    """How to name a file of this host to a jobs worker: by its place in the shared folder if it
    lies there, else by its whole path."""
    whole = _plain(path)
    if settings.folder and whole.is_relative_to(folder := _plain(Path(settings.folder))):
        return str(whole.relative_to(folder))
    return str(whole)


def local_path(name: str, settings: JobSettings) -> Path:
    """The file that was told, as this host sees it.

    Raises BadInput for one in a folder that is not here, and, where there is one, for whatever
    lies outside of it: who can write into a shared Redis is not to reach all files of this host.
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
    """Whole and without `..`, with links as they are: one in the folder is a name in it."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links
