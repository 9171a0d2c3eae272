"""Names of files that mean the same on the host that asks for a job and the one that runs it."""

import os
from pathlib import Path

from common.errors import BadInput
from common.settings import JobSettings


def shared_name(path: Path, settings: JobSettings) -> str:
    """Return the name of a local file for a job.

    It is the path within the shared folder, or the whole path if the file lies elsewhere.
    """
    whole = _plain(path)
    if settings.folder and whole.is_relative_to(folder := _plain(Path(settings.folder))):
        return str(whole.relative_to(folder))
    return str(whole)


def local_path(name: str, settings: JobSettings) -> Path:
    """Return the path of such a file on this host.

    Raises BadInput if the name needs a shared folder, and this host has none. Also raises it for a
    file outside of the shared folder, if there is one: somebody who can write into a shared Redis
    must not reach all files of this host.
    """
    if not settings.folder:
        if Path(name).is_absolute():
            return _plain(Path(name))
        raise BadInput(
            f"{name} is in the shared folder of another host: set EARSHOT_JOBS__FOLDER on the host"
            " of `earshot jobs` to the path that this folder has there"
        )
    folder = _plain(Path(settings.folder))
    path = _plain(folder / name)
    if not path.is_relative_to(folder):
        raise BadInput(
            f"{name} is outside of {folder}, and jobs may only use files in that folder"
            " (EARSHOT_JOBS__FOLDER): put the file there. If the folder has another path on the"
            " host where you give the command, set EARSHOT_JOBS__FOLDER there to that path"
        )
    return path


def _plain(path: Path) -> Path:
    """Return the absolute path without `..`. Links stay: a link in the folder counts as inside."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links
