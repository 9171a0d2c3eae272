"""EARSHOT_STT__MODEL leads to a folder, or to one sentence that says how to get one."""

from pathlib import Path

import pytest

from common.errors import NoModel
from workers.stt.model_folder import ModelFolder, locate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As complete as one can see from outside."""
    path = tmp_path / "my-whisper"
    path.mkdir()
    for name in ("model.bin", "tokenizer.json"):
        (path / name).write_bytes(b"-")
    return path


def test_demo_is_the_bundled_folder() -> None:
    found = locate("demo")
    assert found.name == "demo"
    assert (found.path / "model.bin").is_file()
    assert (found.path / "tokenizer.json").is_file()


def test_a_folder_is_taken_as_it_is_and_called_by_its_own_name(folder: Path) -> None:
    assert locate(str(folder)) == ModelFolder("my-whisper", folder)


def test_a_relative_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert locate("./").name == "my-whisper"


@pytest.mark.parametrize(
    ("model", "why"),
    [("~nobody-here/model", "does not exist"), ("./" + "m" * 300, "cannot be read")],
)
def test_a_folder_that_cannot_be_there_gives_the_way_out(model: str, why: str) -> None:
    with pytest.raises(NoModel, match=f"{why}.*EARSHOT_STT__MODEL=demo"):
        locate(model)


def test_a_folder_that_is_not_there_gives_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(NoModel, match=r"no-such does not exist: .*EARSHOT_STT__MODEL=demo"):
        locate(str(tmp_path / "no-such"))


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(NoModel, match="is a file, not a folder"):
        locate(str(folder / "model.bin"))


def test_a_folder_without_weights_says_how_to_convert_a_model(folder: Path) -> None:
    (folder / "model.bin").unlink()
    with pytest.raises(NoModel, match=r"holds no model\.bin, .*ct2-transformers-converter"):
        locate(str(folder))


def test_a_folder_without_tokenizer_is_refused_before_the_hub_is_asked_for_one(
    folder: Path,
) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(NoModel, match=r"holds no tokenizer\.json"):
        locate(str(folder))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NoModel, match=r"no model 'smal\.en': .*small\.en.*large-v3"):
        locate("smal.en")
