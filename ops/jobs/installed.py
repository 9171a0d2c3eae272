"""Whether RQ is there, asked without importing it."""

from importlib.util import find_spec

from common.errors import BadInput


def check_installed() -> None:
    """Raises BadInput with what to install."""
    if find_spec("rq") is None:
        raise BadInput("RQ, which runs the jobs, is not installed: pip install 'earshot[jobs]'")
