"""A file is written whole or not at all, and nothing is left beside it."""

from contextlib import suppress
from pathlib import Path

import pytest

from common.errors import BadInput
from common.settings import JobSettings
from ops.jobs.files.atomic_file import open_atomically
from ops.jobs.files.job_folder import JobFolder


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
    with open_atomically(tmp_path / "talk.txt", "job") as file:
        (part,) = tmp_path.iterdir()
        file.write("new")
    part.write_text("of a killed one, and longer")
    with open_atomically(tmp_path / "talk.txt", "job") as file:
        assert list(tmp_path.glob(".*")) == [part], "it has the same name at every try"
        file.write("newer")
    assert (tmp_path / "talk.txt").read_text() == "newer"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_try_after_one_that_was_killed_at_any_moment_replaces_the_file(tmp_path: Path) -> None:
    folder = JobFolder(JobSettings(folder=str(tmp_path)))
    target = tmp_path / "talk.txt"
    for text in ("first", "second"):
        with open_atomically(target, "job", folder) as file:
            file.write(text)
    target.write_text("first")  # as if it had been killed just before it replaced the file
    folder.check_replaceable(target)
    target.write_text("third")
    with pytest.raises(BadInput, match="earshot did not write it"):
        folder.check_replaceable(target)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(BadInput, match=r"nowhere/talk\.txt cannot be written: No such file"),
        open_atomically(tmp_path / "nowhere" / "talk.txt", "job"),
    ):
        pass
