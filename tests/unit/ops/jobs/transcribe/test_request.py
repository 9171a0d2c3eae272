"""A recording is named so that the host that transcribes it finds the same file, or says why it
does not."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import BadInput
from common.settings import JobSettings, Settings
from ops.jobs.files.job_folder import JobFolder
from ops.jobs.transcribe.request import (
    Paths,
    Request,
    is_for_job,
    locate_files,
    make_request,
)
from tests.support.environments import clear_environment


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    clear_environment(monkeypatch, tmp_path)
    (tmp_path / "talk one.mp3").write_bytes(b"12345")
    return Settings(jobs={"folder": str(tmp_path)})


def request_for(settings: Settings, folder: Path) -> Request:
    paths = Paths(folder / "talk one.mp3", folder / "talk.srt")
    return make_request(paths, "srt", settings, 1_700_000_000_000)


def folder_at(path: Path) -> JobFolder:
    return JobFolder(JobSettings(folder=str(path)))


def test_each_request_is_a_run_and_a_session_of_its_own(settings: Settings, tmp_path: Path) -> None:
    one, other = request_for(settings, tmp_path), request_for(settings, tmp_path)
    assert one.run != other.run
    assert one.session == f"talk-one.{one.run[:8]}"
    assert one.since == "1700000000000-0"
    assert Request.read(one.model_dump()) == one


def test_a_file_in_the_shared_folder_is_found_wherever_that_is(
    settings: Settings, tmp_path: Path
) -> None:
    request = request_for(settings, tmp_path)
    assert (request.file, request.output) == ("talk one.mp3", "talk.srt")
    elsewhere = tmp_path / "mounted"
    elsewhere.mkdir()
    (elsewhere / "talk one.mp3").write_bytes(b"12345")
    assert is_for_job(request)
    paths = locate_files(request, folder_at(elsewhere))
    assert (paths.file, paths.output) == (elsewhere / "talk one.mp3", elsewhere / "talk.srt")


def test_a_file_elsewhere_is_for_no_job(settings: Settings, tmp_path: Path) -> None:
    outside = settings.model_copy(update={"jobs": JobSettings(folder=str(tmp_path / "other"))})
    request = request_for(outside, tmp_path)
    assert request.file == str(tmp_path / "talk one.mp3")
    assert not is_for_job(request)
    with pytest.raises(BadInput, match="is outside of"):
        locate_files(request, folder_at(tmp_path / "other"))


@pytest.mark.parametrize("output", ["talk.sub", ".talk.srt", ".hidden/talk.srt", "/tmp/talk.srt"])
def test_an_output_that_no_job_writes_is_for_no_job(
    output: str, settings: Settings, tmp_path: Path
) -> None:
    paths = Paths(tmp_path / "talk one.mp3", tmp_path / output)
    assert not is_for_job(make_request(paths, "srt", settings, 0))


def test_without_a_setting_the_folder_is_in_the_users_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert JobFolder(JobSettings()).root == tmp_path / "earshot" / "recordings"


def test_a_file_that_is_not_here_or_is_another_is_said(settings: Settings, tmp_path: Path) -> None:
    request = request_for(settings, tmp_path)
    (tmp_path / "talk one.mp3").write_bytes(b"123")
    with pytest.raises(BadInput, match="3 bytes where `earshot jobs` runs and 5 where it was"):
        locate_files(request, folder_at(tmp_path))
    (tmp_path / "talk one.mp3").unlink()
    with pytest.raises(BadInput, match=r"cannot be read in .* where `earshot jobs` runs"):
        locate_files(request, folder_at(tmp_path))
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        request_for(settings, tmp_path)


def test_a_place_that_cannot_be_written_is_said_before_the_work(
    settings: Settings, tmp_path: Path
) -> None:
    paths = Paths(tmp_path / "talk one.mp3", tmp_path / "no" / "talk.txt")
    request = make_request(paths, "txt", settings, 0)
    with pytest.raises(BadInput, match=r"talk\.txt cannot be written: there is no folder"):
        locate_files(request, folder_at(tmp_path))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"file": "../../etc/passwd"}, "is outside of"),
        ({"output": "/etc/passwd"}, "is outside of"),
        ({"run": "x"}, "run is not usable"),
        ({"since": "$"}, "since is not usable"),
        ({"session": "a b"}, "session is not usable"),
        ({"more": 1}, "more is not usable"),
    ],
)
def test_what_somebody_else_wrote_into_a_job_is_refused(
    settings: Settings, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        locate_files(
            Request.read(request_for(settings, tmp_path).model_dump() | changes),
            folder_at(tmp_path),
        )
