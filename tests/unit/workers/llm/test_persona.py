"""A persona is a file whose values override the settings; a bad one stops the start with a
sentence, and one that is not there answers as the default."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.errors import BadSetting
from common.settings import LlmSettings
from workers.llm.persona import Persona, Personas

BUNDLED = ["assistant", "customer-support", "fitness-coach", "tour-guide"]


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_bundled_ones() -> None:
    personas = Personas(LlmSettings())
    assert personas.names == BUNDLED
    prompts = {personas.get(name).system_prompt for name in BUNDLED}
    assert len(prompts) == len(BUNDLED)
    for prompt in prompts:
        assert prompt == prompt.strip()
        assert "read aloud" in prompt
    assert personas.default == personas.get("assistant")


def test_the_assistant_leaves_all_but_the_prompt_to_the_settings() -> None:
    settings = LlmSettings(rounds=2, temperature=0.1, tokens_per_word=3, min_tokens=7, max_tokens=9)
    default = Personas(settings).default
    assert default == Persona("assistant", default.system_prompt, 0.1, 2, 3, 7, 9)


def test_customer_support_asks_for_what_is_missing_and_is_brief() -> None:
    support = Personas(LlmSettings()).get("customer-support")
    assert "Ask for what is missing" in support.system_prompt
    assert support.max_tokens < LlmSettings().max_tokens
    assert support.temperature < LlmSettings().temperature
    assert support.rounds > LlmSettings().rounds


@pytest.mark.parametrize(
    ("words", "tokens"),
    [(0, 64), (1, 64), (12, 64), (13, 65), (30, 150), (51, 255), (52, 256), (9_000, 256)],
)
def test_a_reply_gets_five_tokens_a_word_between_64_and_256(words: int, tokens: int) -> None:
    assert Personas(LlmSettings()).default.max_tokens_for(words) == tokens


@pytest.mark.parametrize("name", ["Tour Guide", "tour_guide", " TOUR-GUIDE "])
def test_a_name_is_what_people_make_of_it(name: str) -> None:
    personas = Personas(LlmSettings())
    assert personas.get(name) is personas.get("tour-guide")


def test_values_of_a_file_override_the_settings(tmp_path: Path) -> None:
    write(
        tmp_path,
        "butler",
        'prompt = """\nYou are a butler.\n"""\ntemperature = 0.2\nrounds = 9\n'
        "tokens_per_word = 2\nmin_tokens = 10\nmax_tokens = 20\n",
    )
    personas = Personas(LlmSettings(personas=str(tmp_path), persona="butler"))
    butler = personas.default
    assert butler.system_prompt == "You are a butler."
    assert (butler.name, butler.temperature, butler.rounds) == ("butler", 0.2, 9)
    assert [butler.max_tokens_for(words) for words in (1, 7, 70)] == [10, 14, 20]
    assert personas.names == sorted([*BUNDLED, "butler"])
    assert personas.most_rounds == 12  # the coach's


def test_a_file_may_take_a_bundled_ones_place(tmp_path: Path) -> None:
    write(tmp_path, "tour_guide", 'prompt = "Our own."')
    assert Personas(LlmSettings(personas=str(tmp_path))).get("tour-guide").system_prompt == (
        "Our own."
    )


def test_the_default_may_be_any_file_and_has_a_name_then(tmp_path: Path) -> None:
    path = write(tmp_path, "pirate", 'prompt = "Arr."')
    personas = Personas(LlmSettings(persona=str(path)))
    assert personas.default.system_prompt == "Arr."
    assert personas.default.name == "pirate"
    assert personas.get("pirate") is personas.default
    assert personas.get("assistant").system_prompt != "Arr."


def test_a_producer_names_no_files(tmp_path: Path) -> None:
    path = write(tmp_path, "pirate", 'prompt = "Arr."')
    personas = Personas(LlmSettings())
    assert personas.get(str(path)) is personas.default


def test_the_settings_prompt_overrides_the_defaults_only() -> None:
    personas = Personas(LlmSettings(system_prompt="Be kind.", persona="tour-guide"))
    assert personas.default.system_prompt == "Be kind."
    assert personas.default.max_tokens == personas.get("tour-guide").max_tokens
    assert personas.get("tour-guide").system_prompt != "Be kind."
    assert personas.get("") is personas.default


def test_a_persona_may_have_no_prompt(tmp_path: Path) -> None:
    path = write(tmp_path, "silent", 'prompt = ""')
    assert Personas(LlmSettings(persona=str(path))).default.system_prompt == ""


def test_an_unknown_one_answers_as_the_default_and_is_said_once() -> None:
    personas = Personas(LlmSettings())
    with capture_logs() as logged:
        for _ in range(3):
            assert personas.get("butler") is personas.default
    (line,) = logged
    assert (line["event"], line["persona"]) == ("unknown_persona", "butler")
    assert line["there_are"] == BUNDLED


def test_many_unknown_ones_do_not_fill_the_log() -> None:
    personas = Personas(LlmSettings())
    with capture_logs() as logged:
        for number in range(1_000):
            personas.get(f"nobody {number}")
    assert len(logged) == 100


BAD = {
    "": "prompt",
    "prompt = 5": "field prompt is not usable",
    "prompt = ": "is not valid TOML",
    'prompt = "x"\ntemprature = 1': "field temprature is not usable",
    'prompt = "x"\ntemperature = 3.0': "field temperature is not usable",
    'prompt = "x"\nrounds = -1': "field rounds is not usable",
    'prompt = "x"\nmin_tokens = 400': "min_tokens (400) are above its max_tokens (256)",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_file_is_one_sentence(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, "bad", text)
    for settings in ({"persona": str(path)}, {"personas": str(tmp_path)}):
        with pytest.raises(BadSetting) as refused:
            Personas(LlmSettings.model_validate(settings))
        assert BAD[text] in str(refused.value)
        assert "bad" in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "phrase"),
    [
        ({"persona": "butler"}, "there are assistant, customer-support"),
        ({"persona": "no/such.toml"}, "no/such.toml cannot be read: No such file"),
        ({"personas": "no/such/folder"}, "(EARSHOT_LLM__PERSONAS) cannot be read: No such file"),
        ({"persona": "~nobody-here/a.toml"}, "cannot be read: No such file"),
        ({"personas": "~nobody-here"}, "EARSHOT_LLM__PERSONAS"),
        ({"personas": "t" * 300}, "cannot be read: File name too long"),
    ],
)
def test_one_that_is_not_there_is_one_sentence(settings: dict[str, Any], phrase: str) -> None:
    with pytest.raises(BadSetting) as refused:
        Personas(LlmSettings.model_validate(settings))
    assert phrase in str(refused.value)


def test_what_is_not_utf8_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b'prompt = "\xff"')
    with pytest.raises(BadSetting, match="not UTF-8"):
        Personas(LlmSettings(personas=str(tmp_path)))
