"""A file is written whole or not at all, and nothing is left beside it."""

from contextlib import suppress
from pathlib import Path

import pytest

from common.errors import BadInput
from ops.jobs.atomic_file import open_atomically, temporary_path


def test_it_takes_its_place_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "talk.txt"
    with open_atomically(target, "job") as file:
        file.write("é\n")
        assert not target.exists()
    assert target.read_bytes() == "é\n".encode()
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "talk.txt"
    target.write_text("old")
    with suppress(ZeroDivisionError), open_atomically(target, "job") as file:
        file.write("half")
        file.write(str(1 / 0))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_try_left_is_overwritten(tmp_path: Path) -> None:
    temporary_path(tmp_path / "talk.txt", "job").write_text("of a killed one, and longer")
    with open_atomically(tmp_path / "talk.txt", "job") as file:
        file.write("new")
    assert (tmp_path / "talk.txt").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(BadInput, match=r"nowhere/talk\.txt cannot be written: No such file"),
        open_atomically(tmp_path / "nowhere" / "talk.txt", "job"),
    ):
        pass
