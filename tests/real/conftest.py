"""Only `make test-real` collects these tests: they need weights and minutes of the processor."""

from pathlib import Path
from typing import Final

import pytest

from common.settings import SttSettings
from tests.real.recordings import Recording, read_recordings
from tests.real.weights import FOLDER
from workers.stt.whisper import Whisper, load

FIGURES: Final = pytest.StashKey[list[str]]()


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return None if config.getoption("--real") else True


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash[FIGURES]:
        terminalreporter.write_line(line)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines that are shown at the end."""
    return request.config.stash[FIGURES]


@pytest.fixture(scope="session")
def whisper() -> Whisper:
    return load(SttSettings(model=str(FOLDER)))


@pytest.fixture(scope="session")
def recordings(request: pytest.FixtureRequest) -> list[Recording]:
    """The recordings of the folder in CLIPS."""
    folder = request.config.getoption("--clips")
    if not folder:
        pytest.skip("no recordings: name a folder of them, make test-real CLIPS=FOLDER")
    found = read_recordings(Path(folder))
    if not found:
        pytest.skip(f"no recordings: {folder} holds no .flac and no .wav")
    return found
