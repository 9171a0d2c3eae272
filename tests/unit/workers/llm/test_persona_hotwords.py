"""A persona's file may name words that may be said to it; STT workers take them from there."""

from pathlib import Path

import pytest

from common.errors import BadSetting
from common.settings import LlmSettings
from workers.llm.persona import Personas


def personas(folder: Path, hotwords: str) -> Personas:
    (folder / "butler.toml").write_text(f'prompt = "You are a butler."\nhotwords = {hotwords}\n')
    return Personas(LlmSettings(personas=str(folder)))


def test_a_persona_has_the_words_of_its_file(tmp_path: Path) -> None:
    assert personas(tmp_path, '["Jeeves", "Bertie Wooster"]').get("Butler").hotwords == (
        "Jeeves",
        "Bertie Wooster",
    )


def test_other_personas_have_none(tmp_path: Path) -> None:
    assert personas(tmp_path, "[]").get("tour-guide").hotwords == ()


@pytest.mark.parametrize("hotwords", ['"Jeeves"', '[""]', "[1]", '["a\\nb"]'])
def test_what_is_no_list_of_words_is_refused(tmp_path: Path, hotwords: str) -> None:
    with pytest.raises(BadSetting, match=r"butler cannot be used: its field hotwords"):
        personas(tmp_path, hotwords)
