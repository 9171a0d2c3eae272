"""Which server: the stand-in, unless `--llm-server vllm` says otherwise (`make test-vllm` does)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.servers import Served, ServedByStandIn, ServedByVllm
from workers.llm.server import tokens


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted must not depend on how busy the machine is."""
    monkeypatch.setattr(tokens, "COUNT_TIMEOUT_S", 60.0)


def _served(request: pytest.FixtureRequest, folder: Path, *, system_role: bool) -> Served:
    if request.config.getoption("--llm-server") == "vllm":
        return ServedByVllm(folder, system_role=system_role)
    return ServedByStandIn(system_role=system_role)


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server whose model takes a system prompt."""
    with _served(request, tmp_path_factory.mktemp("served"), system_role=True) as served:
        yield served


@pytest.fixture(scope="module")
def refusing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """One whose model's template refuses the system role, as Mistral 7B v0.1 does."""
    with _served(request, tmp_path_factory.mktemp("refusing"), system_role=False) as served:
        yield served
