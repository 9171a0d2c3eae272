"""A secret may lie in a file that the environment names; what cannot be read stops the start."""

from pathlib import Path

import pytest

from common.errors import BadSetting
from common.settings.loading import list_origins, load_settings
from tests.support.environments import clear_environment


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clear_environment(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("content", "password"),
    [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        (" hunter 2 \n", " hunter 2 "),
        ("pässword\n", "pässword"),
        ("", ""),
    ],
)
def test_a_password_from_a_file(
    content: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("secret").write_bytes(content.encode())
    monkeypatch.setenv("EARSHOT_REDIS__PASSWORD_FILE", "secret")
    assert load_settings().redis.password.get_secret_value() == password


def test_a_file_may_be_named_from_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from home\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EARSHOT_REDIS__PASSWORD_FILE", "~/secret")
    assert load_settings().redis.password.get_secret_value() == "from home"


@pytest.mark.parametrize("variable", ["EARSHOT_SHARDS_FILE", "earshot_shards_file"])
def test_any_setting_may_lie_in_a_file(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("shards").write_text("4\n")
    monkeypatch.setenv(variable, "shards")
    assert load_settings().shards == 4


def test_a_setting_that_is_a_file_itself_is_taken_as_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EARSHOT_REDIS__CA_FILE", "/etc/ca.pem")
    assert load_settings().redis.ca_file == "/etc/ca.pem"
    monkeypatch.delenv("EARSHOT_REDIS__CA_FILE")
    Path("where").write_text("/etc/other.pem\n")
    monkeypatch.setenv("EARSHOT_REDIS__CA_FILE_FILE", "where")
    assert load_settings().redis.ca_file == "/etc/other.pem"


def test_the_variable_itself_goes_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("model").write_text("from the file")
    monkeypatch.setenv("EARSHOT_LLM__MODEL_FILE", "model")
    monkeypatch.setenv("EARSHOT_LLM__MODEL", "from the environment")
    assert load_settings().llm.model == "from the environment"


def test_files_and_variables_fill_one_section(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("key").write_text("hunter2")
    monkeypatch.setenv("EARSHOT_LLM__API_KEY_FILE", "key")
    monkeypatch.setenv("EARSHOT_LLM__ROUNDS", "2")
    llm = load_settings().llm
    assert (llm.api_key.get_secret_value(), llm.rounds) == ("hunter2", 2)
    origins = {origin.name: origin.origin for origin in list_origins(load_settings(), {})}
    assert origins["llm.api_key"] == "EARSHOT_LLM__API_KEY_FILE"
    assert origins["llm.rounds"] == "EARSHOT_LLM__ROUNDS"


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), (b"\xff\xfe", "not UTF-8")])
def test_a_file_that_cannot_be_read_stops_the_start(
    content: bytes | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        Path("secret").write_bytes(content)
    monkeypatch.setenv("EARSHOT_REDIS__PASSWORD_FILE", "secret")
    with pytest.raises(BadSetting, match=f"EARSHOT_REDIS__PASSWORD_FILE=secret .*{why}"):
        load_settings()


def test_a_folder_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_REDIS__PASSWORD_FILE", ".")
    with pytest.raises(BadSetting, match="cannot be read"):
        load_settings()
