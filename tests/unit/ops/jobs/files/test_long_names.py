"""A file with the longest name that a file system takes is written like any other; a longer name is
refused before the work."""

from pathlib import Path

import pytest

from common.errors import BadInput
from ops.jobs.files.atomic_file import check_writable, is_taken, open_atomically

LONGEST = [
    "a" * 251 + ".txt",
    "\u00e9" * 125 + "s.srt",  # two bytes each
    "\u8a9e" * 83 + "ab.vtt",  # three
    "\U0001f399" * 62 + "ab.json",  # four
    "\u8a9e" * 85,
]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", LONGEST, ids=["a", "two", "three", "four", "bare"])
@pytest.mark.parametrize("job", ["transcribe.0123456789abcdef", "j" * 200], ids=["one", "long"])
def test_a_name_of_255_bytes_is_written(tmp_path: Path, name: str, job: str) -> None:
    assert len(name.encode()) == 255
    target = tmp_path / name
    check_writable(target)
    assert not is_taken(target)
    with open_atomically(target, job) as file:
        file.write("whole")
        assert not target.exists()
        (part,) = files(tmp_path)
        assert len(part.encode()) < 40
        assert part.startswith("."), "hidden"
    assert is_taken(target)
    assert (files(tmp_path), target.read_text()) == ([name], "whole")


def test_each_job_and_each_file_has_a_temporary_name_of_its_own(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", LONGEST[2], LONGEST[3]):
        for job in ("one", "two"):
            with open_atomically(tmp_path / name, job) as file:
                file.write("x")
                with open_atomically(tmp_path / (name[:-1] + "_"), job) as other:
                    other.write("y")
                    assert sum(part.endswith(".part") for part in files(tmp_path)) == 2


def test_what_a_killed_try_of_the_same_job_left_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / LONGEST[3]
    with open_atomically(target, "job") as file:
        file.write("a first try, which is killed")
        (left,) = files(tmp_path)
    target.unlink()
    (tmp_path / left).symlink_to(tmp_path / "elsewhere")  # or what somebody has put there
    (tmp_path / "elsewhere").write_text("of somebody else")
    with open_atomically(target, "job") as file:
        file.write("a second one")
    assert target.read_text() == "a second one"
    assert (tmp_path / "elsewhere").read_text() == "of somebody else"
    assert files(tmp_path) == sorted(["elsewhere", target.name])


@pytest.mark.parametrize(
    "name", ["a" * 256, "\u8a9e" * 86, "\U0001f399" * 64 + ".txt"], ids=["one", "three", "four"]
)
def test_a_longer_name_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    for check in (check_writable, is_taken):
        with pytest.raises(BadInput, match="cannot be written: File name too long"):
            check(tmp_path / name)
