"""A server's words are quoted, and what somebody said is not, in whatever form it is repeated."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import pytest

from common.errors import Permanent, Transient
from workers.llm.meanings.error_report import make_report
from workers.llm.meanings.errors import ContextTooLong, SystemRoleRefused
from workers.llm.meanings.explainer import Explainer
from workers.llm.meanings.quotation import LEFT_OUT, repeats

SPOKEN: Final = "My pin is 4711, and Stra\u00dfe 9 is where I live."
SAID: Final = [{"role": "user", "content": SPOKEN}]
EXPLAINER: Final = Explainer("http://llm:8000/v1", has_key=True)


def explain(
    body: Any, status: int = 422, messages: Sequence[Mapping[str, str]] = SAID
) -> Transient | Permanent:
    report = make_report(body, status=status, api_key="sk-key", messages=messages)
    return EXPLAINER.explain(report, model="m")


FORMS: Final[dict[str, Callable[[str], str]]] = {
    "as it is": str,
    "in capitals": str.upper,
    "as JSON": json.dumps,
    "as a repr": repr,
    "in an address": quote,
    "in pieces": lambda text: " | ".join(text.split()),
    "cut off": lambda text: text[:25] + "...",
    "without its beginning": lambda text: "..." + text[-20:],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 500, 529])
def test_no_answer_of_any_status_brings_speech_into_a_message(form: str, status: int) -> None:
    said = FORMS[form](SPOKEN)
    for body in (
        {"message": f"cannot process {said}"},
        {"detail": f"value: {said}"},
        {"error": {"input": said}},
        [said],
        said,
    ):
        why = str(explain(body, status))
        assert LEFT_OUT in why or not any(word in why.lower() for word in ("pin", "4711", "live"))
        assert "4711" not in why


def test_a_list_of_wrong_fields_tells_places_and_problems_and_no_input() -> None:
    problem = {
        "type": "missing",
        "loc": ["body", "messages", 0, "content"],
        "msg": "Field required",
    }
    body = {"detail": [problem | {"input": {"role": "user", "content": "something else was said"}}]}
    why = str(explain(body))
    assert "(body.messages.0.content: Field required)" in why
    assert "something else" not in why


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("4711", "unexpected value 4711"),
        ("Geheim", "input: geheim!"),
        ("\u4eca\u65e5\u306f\u6691\u3044\u3067\u3059", "input '\u4eca\u65e5\u306f\u6691\u3044'"),
        ("Turn the light off, please", "got: please turn the light off please"),
    ],
)
def test_what_is_short_or_without_spaces_is_hidden_too(said: str, text: str) -> None:
    assert repeats(text, [{"role": "user", "content": said}])


@pytest.mark.parametrize("said", ["No.", "Yes", "OK", "", "...", "What is the model of this car?"])
def test_a_coincidence_hides_nothing(said: str) -> None:
    words = "there is no such model; the value is not valid, see the list of models"
    assert not repeats(words, [{"role": "user", "content": said}])
    body = {"message": "This model's maximum context length is 4096 tokens."}
    why = str(explain(body, 400, [{"role": "user", "content": said}]))
    assert "maximum context length is 4096" in why


def test_the_meaning_is_found_in_words_that_are_not_quoted() -> None:
    said = [{"role": "user", "content": "maximum context length is 8192 tokens"}]
    full = explain({"message": "This model's maximum context length is 8192 tokens"}, 400, said)
    assert isinstance(full, ContextTooLong)
    assert (full.numbers.window, LEFT_OUT in str(full)) == (8192, True)
    said = [{"role": "user", "content": "conversation roles must alternate"}]
    roles = {"message": "Conversation roles must alternate user/assistant"}
    assert isinstance(explain(roles, 400, said), SystemRoleRefused)


def test_a_system_prompt_is_nothing_that_was_said() -> None:
    assert not repeats("you are a kind assistant", [
        {"role": "system", "content": "You are a kind assistant"}])  # fmt: skip


@pytest.mark.parametrize(
    "body", [None, "", 7, [], {}, {"detail": [1, None, {}]}, {"message": None}]
)
def test_a_body_of_any_shape_is_one_line(body: Any) -> None:
    assert "\n" not in make_report(body, status=400).said


@pytest.mark.parametrize("reason", ["abort", "error: my pin is 4711", "fail" * 99, "fail\nb"])
def test_a_fault_is_named_if_it_is_a_name(reason: str) -> None:
    with pytest.raises(Transient, match="ended the reply with") as ended:
        EXPLAINER.check_end(reason, has_text=True, is_whole=True)
    assert (reason in str(ended.value)) is (reason == "abort")
