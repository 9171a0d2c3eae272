"""A file that is not there is told apart from one of which nobody can tell, by every Python."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from common.errors import BadInput, BadSetting, NoModel
from common.redis.address import parse
from common.redis.tls import client_options
from common.settings import LlmSettings, RedisSettings
from common.settings.host_files import is_file
from ops.bench.hearing.folder import read_recordings
from workers.llm.persona import Personas
from workers.stt.model_folder import locate


@pytest.fixture
def _newer_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 3.13 on for glob, and 3.14 for the others, what cannot be told is a no."""
    monkeypatch.setattr(Path, "is_file", lambda self, **_: os.path.isfile(self))  # noqa: PTH113
    monkeypatch.setattr(Path, "is_dir", lambda self, **_: os.path.isdir(self))  # noqa: PTH112
    monkeypatch.setattr(Path, "exists", lambda self, **_: os.path.exists(self))  # noqa: PTH110
    monkeypatch.setattr(Path, "glob", lambda self, _: iter(()))


def test_what_is_no_file_is_none(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    assert is_file(there)
    nothing = [tmp_path, tmp_path / "nowhere", there / "below", Path("a\0b")]
    assert not any(map(is_file, nothing))


def test_what_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long"):
        is_file(tmp_path / ("t" * 300))
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="Too many levels"):
        is_file(tmp_path / "round")


@pytest.mark.usefixtures("_newer_python")
def test_a_newer_python_gives_the_same_reason(tmp_path: Path) -> None:
    name = "t" * 300
    with pytest.raises(BadSetting, match="cannot be read: File name too long"):
        client_options(RedisSettings(ca_file=name), parse("rediss://h"))
    with pytest.raises(NoModel, match="cannot be read"):
        locate(f"./{name}")
    with pytest.raises(BadSetting, match="cannot be read: File name too long"):
        Personas(LlmSettings(personas=name))
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16_000)
    (tmp_path / "a.txt").symlink_to("a.txt")
    with pytest.raises(BadInput, match=r"a\.txt cannot be read"):
        read_recordings(tmp_path)
